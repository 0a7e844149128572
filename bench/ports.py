"""The ports of the bench: all of them follow from one base, so that two benches can stand beside each other."""

import os

VARIABLE = "DCX_BENCH_PORT"  # set by `python -m bench --port`, for the processes of the parts too
BASE = int(os.environ.get(VARIABLE, "26000"))
AMI, SIP, API, ARI = BASE + 38, BASE + 60, BASE + 80, BASE + 88
CALLER, BUYER = BASE + 100, BASE + 200  # SIPp
CALLER_RTP, BUYER_RTP = (BASE + 300, BASE + 599), (BASE + 600, BASE + 899)
PRESSER, PRESSER_RTP = BASE + 900, BASE + 902  # a caller who presses digits
FEW_RTP = (BASE + 1000, BASE + 1899)  # Asterisk's, for a part with few calls
RTP = (BASE + 4000, BASE + 6699)  # 100 calls/s of 2 s hold 400 legs with two ports each
