"""Pure decisions: routing, caps, money, hours, geography. No await, no I/O, no clock, no hidden chance."""
