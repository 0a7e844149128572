"""Use cases that the command line and the API share: validate, change, look up."""
