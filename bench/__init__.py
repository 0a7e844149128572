"""The bench: DCX beside its rivals in one run, as a Markdown table. Run it with `python -m bench`."""
