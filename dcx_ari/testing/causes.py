"""Q.850 causes as Asterisk names them, and their SIP statuses (measured on 22.10.1, PJSIP)."""

from __future__ import annotations

CAUSE_TEXT = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    32: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    127: "Interworking, unspecified",
}

# `reason` of DELETE /channels/{id}
REASONS = {
    "normal": 16,
    "busy": 17,
    "congestion": 34,
    "no_answer": 19,
    "timeout": 102,
    "rejected": 21,
    "unallocated": 1,
    "normal_unspecified": 31,
    "number_incomplete": 28,
    "codec_mismatch": 127,
    "interworking": 127,
    "failure": 38,
    "answered_elsewhere": 26,
}

# What a caller's side sees when its unanswered INVITE is refused with a cause; 603 for any other.
REFUSAL_STATUS = {1: 404, 3: 404, 17: 486, 19: 480, 21: 403, 34: 503}


def cause_text(cause: int) -> str:
    return CAUSE_TEXT.get(cause, "Unknown")


def refusal_status(cause: int) -> int:
    return REFUSAL_STATUS.get(cause, 603)
