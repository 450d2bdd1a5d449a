"""Open-loop HTTP load, safe against coordinated omission, and what it measured."""
