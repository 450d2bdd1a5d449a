"""Runs of the scheduled functions: what each one read, made and came to, and who may run now."""
