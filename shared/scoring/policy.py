"""From a score to a decision: two thresholds and the digest that names them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["approve", "review", "decline"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds on the calibrated score; a score equal to a threshold has reached it.

    Attributes:
        decline_at: Lowest score that declines, or None when no score is certain enough to decline on.
        review_at: Lowest score that asks for a review, or None when nothing is ever reviewed.
        version: Twelve hexadecimal digits that change when a threshold does.
    """

    decline_at: float | None
    review_at: float | None
    version: str = field(init=False)

    def __post_init__(self) -> None:
        for name, threshold in (("decline_at", self.decline_at), ("review_at", self.review_at)):
            if threshold is not None and not 0.0 < threshold <= 1.0:
                raise ValueError(f"{name} must be in (0, 1], not {threshold!r}")
        if self.decline_at is not None and self.review_at is not None and self.review_at > self.decline_at:
            raise ValueError(f"review_at {self.review_at!r} is above decline_at {self.decline_at!r}")
        text = f"decline_at={self.decline_at!r} review_at={self.review_at!r}"
        object.__setattr__(self, "version", hashlib.sha256(text.encode()).hexdigest()[:12])

    def decide(self, score: float) -> Outcome:
        """Return what to do with a transaction of this calibrated score.

        Raises:
            ValueError: The score is not a number, which no decision may hide.
        """
        if math.isnan(score):
            raise ValueError("a score that is not a number decides nothing")
        if self.decline_at is not None and score >= self.decline_at:
            return "decline"
        if self.review_at is not None and score >= self.review_at:
            return "review"
        return "approve"
