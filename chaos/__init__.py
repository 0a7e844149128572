"""Chaos: DCX under a steady load of real calls, while its parts are killed, stopped and restarted.

    python -m chaos --calls 500 --kills 25 --seed 7

What is claimed of it is checked from outside: by phones that talk and listen, a receiver of webhooks, and the rows.
"""
