"""The `dcx` command line: parse, call a service, render."""
