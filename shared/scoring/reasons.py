"""Why a score is high: the features that raised it most, as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.features.catalogue import CATALOGUE, Catalogue

MAX_REASONS = 3
LEAST_SHARE = 0.05
"""A feature below this share of everything that raised the score explains nothing."""


class Reason(NamedTuple):
    """One feature that raised the score.

    Attributes:
        feature: Its name in the catalogue.
        text: Its value as a sentence for people.
        contribution: What it added to the log-odds, rounded to four decimals.
    """

    feature: str
    text: str
    contribution: float


def top_reasons(
    features: Sequence[str],
    values: Sequence[float | None],
    contributions: Sequence[float],
    catalogue: Catalogue = CATALOGUE,
) -> list[Reason]:
    """Return up to three reasons, the strongest first; none when nothing raised the score.

    Args:
        features: Names of the model's columns.
        values: The row's values, None is missing.
        contributions: The row's contributions to the log-odds; a bias after the last feature is ignored.
        catalogue: Says each feature in words.

    Raises:
        KeyError: A feature is not in the catalogue.
    """
    raising = [
        (contribution, index) for index, contribution in enumerate(contributions[: len(features)]) if contribution > 0
    ]
    raising.sort(key=lambda pair: (-pair[0], pair[1]))
    least = LEAST_SHARE * sum(contribution for contribution, _ in raising)
    return [
        Reason(features[index], _sentence(catalogue[features[index]].sentence(values[index])), round(contribution, 4))
        for contribution, index in raising[:MAX_REASONS]
        if contribution >= least
    ]


def _sentence(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:] + "."
