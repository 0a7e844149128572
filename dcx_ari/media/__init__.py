"""Sound: speech made from text, recordings, and tones for tests."""
