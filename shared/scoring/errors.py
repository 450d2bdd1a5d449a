"""The error that refuses a model."""

from __future__ import annotations


class BundleError(Exception):
    """A serving bundle is incomplete, corrupt, unknown or does not predict what its model predicts.

    The message names the piece: a member of the archive or a path inside the manifest.
    """
