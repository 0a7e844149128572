"""Tests without Asterisk and without waiting: `FakeAsterisk` and a loop in virtual time."""
