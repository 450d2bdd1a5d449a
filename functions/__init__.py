"""The functions: each folder is one, `main.py` holds its entry points for every host."""
