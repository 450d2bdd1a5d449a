"""Init hooks of LocalStack."""
