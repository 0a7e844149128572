"""Flow documents to start from."""
