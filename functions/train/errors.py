"""Why a training ends without a model."""

from __future__ import annotations


class TrainingRefused(Exception):
    """What was learned is no model to decide with; asking again changes nothing."""


class NotEnoughData(TrainingRefused):
    """There are too few labelled transactions to learn from, or to judge on."""


class ServiceMissing(Exception):
    """The registry or its storage is away; nothing was registered, and the training may be asked for again."""
