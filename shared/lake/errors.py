"""Why the lake does not answer."""

from __future__ import annotations


class LakeAway(Exception):
    """The lake's storage is away or refuses us; what was asked may be asked again."""


class TableMissing(LookupError):
    """Nothing has been archived into the table yet, or the version asked for is gone."""
