"""A file of transactions through the live scorer, each decided once."""
