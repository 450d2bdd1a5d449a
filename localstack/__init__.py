"""The system in containers, and AWS without AWS."""
