"""Logs, traces and metrics, the same for all functions."""
