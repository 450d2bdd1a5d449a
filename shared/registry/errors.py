"""What can go wrong between a scorer and its model."""

from __future__ import annotations


class RegistryUnavailable(Exception):
    """The registry cannot be reached or does not answer as MLflow does; asking again later may work."""


class ModelUnavailable(Exception):
    """There is no model to score with: the registry gave none and the disk holds no good copy."""
