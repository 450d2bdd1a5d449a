"""HTTP function: a transaction in, a decision out."""
