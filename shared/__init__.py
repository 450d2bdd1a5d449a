"""What functions have in common."""
