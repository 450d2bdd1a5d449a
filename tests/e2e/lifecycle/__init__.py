"""Sixty days in the life of a model, in compressed event time."""
