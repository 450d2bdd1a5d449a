"""What is played: the traffic of the sixty days, and the settings of a life that is so much faster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.simulation.config import DAY_MS, Pattern, SimulationConfig, mix_with

NEW_PATTERN: Final = Pattern.CARD_TESTING
_LABEL_DELAY: Final = "6h-1d"
_KNOWN_FRAUD: Final = 0.025
_NEW_FRAUD: Final = 0.04
_BOOTSTRAP_DAYS: Final = 80

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The first champion comes from the same world, in which nobody has seen the new pattern yet.
        "FRAUD_BOOTSTRAP_DAYS": str(_BOOTSTRAP_DAYS),
        "FRAUD_BOOTSTRAP_FRAUD_SHARE": str(_KNOWN_FRAUD),
        "FRAUD_BOOTSTRAP_SHARES": f"{NEW_PATTERN}=0",
        "FRAUD_BOOTSTRAP_LABEL_DELAY": _LABEL_DELAY,
        # Labels take a day instead of two weeks, and so does everything that waits for them.
        "FRAUD_LABEL_HORIZON_DAYS": "1",
        "FRAUD_DRIFT_RECALL_DAYS": "4",
        "FRAUD_DRIFT_RECALL_DAYS_BEFORE": "21",
        "FRAUD_DRIFT_RECALL_LEAST_FRAUDS": "40",
        "FRAUD_DRIFT_DEBOUNCE_HOURS": "72",
        "FRAUD_TRAINING_LOOKBACK_DAYS": "14",
        "FRAUD_LEAST_MATURED_ROWS": "5000",
        "FRAUD_LEAST_MATURED_FRAUDS": "100",
        "FRAUD_CHALLENGER_DAYS": "5",
        "FRAUD_SEARCH_TRIALS": "0",
        "FRAUD_TRAINING_PARITY_DECISIONS": "500",
        # The test rows are those of two days: what they prove has wide bounds.
        "FRAUD_LEAST_PRECISION": "0.8",
        "FRAUD_LEAST_RECALL": "0.4",
        # A day of the demo has few declines: half of them are let through to be learned from.
        "FRAUD_CONTROL_SHARE": "0.5",
        "FRAUD_MODEL_POLL_SECONDS": "1",
    }
)


@dataclass(frozen=True)
class Plan:
    """One performance.

    Attributes:
        start_ms: Midnight (UTC) at which event time begins.
        days: Its length.
        onset: Day on which the new pattern begins; None for a life without one.
        per_day: Expected transactions per day of event time.
        rate: Transactions per second of wall clock.
        often_from: Day from which on drift and promotion look every fourth day; before they do every eighth day.
    """

    start_ms: int
    days: int = 60
    onset: int | None = 40
    per_day: int = 2_000
    rate: float = 700.0
    often_from: int = 40

    def is_judged(self, day: int) -> bool:
        """Return whether drift and promotion look at the midnight that begins a day."""
        return day > 0 and (day == self.days or day % (4 if day >= self.often_from else 8) == 0)

    def midnight_ms(self, day: int) -> int:
        """Return the event time at which a day begins."""
        return self.start_ms + day * DAY_MS

    @property
    def traffic(self) -> SimulationConfig:
        """The traffic; until the onset the new pattern's share is missing."""
        with_new = self.onset is not None
        return SimulationConfig(
            start_ms=self.start_ms,
            transactions_per_day=self.per_day,
            fraud_share=_KNOWN_FRAUD + (_NEW_FRAUD if with_new else 0.0),
            mix=mix_with({NEW_PATTERN: _NEW_FRAUD / (_KNOWN_FRAUD + _NEW_FRAUD) if with_new else 0.0}),
            onset_days={} if self.onset is None else {NEW_PATTERN: self.onset},
            label_delay_days=(0.25, 1.0),
        )

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the functions."""
        return {**SETTINGS, "FRAUD_BOOTSTRAP_TRANSACTIONS": str(self.per_day * _BOOTSTRAP_DAYS)}
