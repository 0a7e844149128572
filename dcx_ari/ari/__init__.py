"""Asterisk's REST interface: generated types, one client, one seam (`transport.py`)."""
