"""What one feature is: its kind, entity, window, unit and words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.features.phrases import Phrases

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

RETENTION_MS = 31 * DAY_MS
"""How far back from a card's newest event time it remembers, before flooring to the UTC day."""
OTHERS_WINDOW_MS = 30 * DAY_MS
"""The window in which the other transactions of a card are looked at."""
NIGHT_ENDS_MS = 6 * HOUR_MS
"""Night is from midnight to this time of day, UTC."""
MERCHANT_WINDOW_DAYS = 30
"""The longest window of a merchant's features, in whole UTC days."""
ZSCORE_LEAST_OTHERS = 5
"""Below this many others a deviation means nothing and the z-score is 0."""


class Kind(StrEnum):
    """How a feature's value is made."""

    AMOUNT = "amount"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    DISTINCT = "distinct"
    ZSCORE = "z-score"
    HOUR_OF_DAY = "hour of day"
    WEEKEND = "weekend"
    HIGH_RISK = "high-risk category"
    SINCE_LAST = "time since"
    SPEED = "speed"
    IS_NEW = "is new"
    RATIO_TO_MEAN = "ratio to mean"
    RATIO_TO_MAX = "ratio to maximum"
    SPEND_SHARE = "share of spend"
    NIGHT_SHARE = "share of night"
    MERCHANT_COUNT = "merchant count"
    MERCHANT_RISK = "merchant risk"


class Entity(StrEnum):
    """Whose state a feature is read from."""

    TRANSACTION = "transaction"
    """The transaction alone: computable while the feature store is away."""
    CARD = "card"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the vector.

    Attributes:
        name: Its name in vectors, files and metrics.
        kind: How its value is made.
        entity: Whose state it is read from.
        unit: Unit of the value.
        meaning: One sentence for people.
        null_when: When the value is null; empty when it never is.
        phrases: How the value is said in a decision's reasons.
        window_ms: Length of the window in milliseconds; None for features without one.
        of: The transaction field that is looked at, for kinds that need to be told.
        whole_ms: For a share: length of the window it is a share of, in milliseconds.
    """

    name: str
    kind: Kind
    entity: Entity
    unit: str
    meaning: str
    phrases: Phrases
    null_when: str = ""
    window_ms: int | None = None
    of: str | None = None
    whole_ms: int | None = None

    @property
    def request_only(self) -> bool:
        """Whether the value is known from the transaction alone."""
        return self.entity is Entity.TRANSACTION

    @property
    def window(self) -> int:
        """The window in milliseconds, of a feature that has one.

        Raises:
            ValueError: The feature has no window.
        """
        if self.window_ms is None:
            raise ValueError(f"{self.name} has no window")
        return self.window_ms

    def sentence(self, value: float | None, decimals: int = 2) -> str:
        """The value as a phrase for people, such as "7 transactions in the last 10 minutes".

        Args:
            value: The feature's value.
            decimals: Decimals of the currency that amounts are in.

        Raises:
            ValueError: The value is null and the feature never is.
        """
        return self.phrases.say(value, decimals)
