"""Weighs the challenger's evidence against the champion: promotes, keeps or rejects it, and rolls back."""
