"""Why a run of the drift function ends without a verdict."""

from __future__ import annotations


class NoVerdict(Exception):
    """There is nothing to judge, or nothing to judge it by; that is never drift."""
