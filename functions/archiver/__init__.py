"""Scheduled function: drains the topics into the lake, exactly once, and keeps its tables in order."""
