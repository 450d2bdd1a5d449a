"""The event bus: topics, and how functions publish to them."""
