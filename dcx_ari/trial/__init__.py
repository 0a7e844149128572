"""Trying flows without a phone: the live interpreter on a fake Asterisk, in virtual time."""
