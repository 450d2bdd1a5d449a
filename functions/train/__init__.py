"""Scheduled function: learns models and registers them. Its first form makes the first champion out of a simulation."""
