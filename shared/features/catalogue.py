"""The feature catalogue: what each feature means, stated once; both engines are generated from it.

Meaning shared by all card features, for a transaction x of card c at event time t:

* History is the set of distinct transactions of c known when x is read, by transaction id. The first version
  of an id wins.
* A window W covers event times in (t - W, t], x included. "Others" are the known transactions of c in
  (t - 30 d, t] without x.
* A card remembers event times from the UTC day floor of (its newest event time - 31 d) on, and no window
  reaches before that.
* Amounts are integers in minor units and stay integers in sums.

Meaning shared by all merchant features, for a transaction x of merchant m at event time t, D the UTC day of t and L the
label delay in days:

* History is the set of transactions of m that cards recorded (each a first version) and that are known when x is read.
* A window of W days covers the UTC days D - L - W to D - L - 1, both included: x itself never lies in it.
* Such a transaction counts as fraud when, of its labels with a label time at or before t, the latest says so; of
  several at one label time fraud wins, so the order of arrival is of no consequence. A label belongs to a transaction
  when transaction id, card, merchant and UTC day of the event time are its own; it may arrive first, and twice is once.
* A merchant remembers the days from (UTC day of its newest recorded event time - (31 + L + 30 + 1) days) on. Earlier
  transactions and labels have no effect there, and no window reaches before that.
* The merchant's memory is its own: also a transaction that came too late for its card is answered from it.

Adding a feature is one line in `CATALOGUE`, in terms of `shared.features.kinds`. This module imports no client
library: every function of the system may import it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

from shared.features.definition import (
    DAY_MS,
    HOUR_MS,
    MERCHANT_WINDOW_DAYS,
    MINUTE_MS,
    RETENTION_MS,
    Entity,
    Feature,
    Kind,
)
from shared.features.kinds import (
    amount,
    count,
    distinct_cities,
    high_risk_merchant,
    hour_of_day,
    is_new,
    mean,
    merchant_count,
    merchant_risk,
    night_share,
    ratio_to_max,
    ratio_to_mean,
    seconds_since_last,
    spend_share,
    total,
    travel_speed,
    weekend,
    zscore,
)

__all__ = ["CATALOGUE", "Catalogue", "Entity", "Feature", "Kind", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the features' values depend on beside their definitions; versioned with the model.

    Attributes:
        high_risk_categories: Merchant categories whose goods turn into cash at once.
        label_delay_ms: How long after a transaction its label is taken to be known; whole days.
        future_tolerance_ms: How far ahead of the clock an event time may lie. A caller refuses a transaction
            beyond it (`refuses`): recorded, it would age the whole card.
    """

    high_risk_categories: tuple[str, ...] = ("crypto", "gambling", "gift_cards", "jewelry", "money_transfer")
    label_delay_ms: int = 7 * DAY_MS
    future_tolerance_ms: int = 5 * MINUTE_MS

    def __post_init__(self) -> None:
        """Refuse a label delay that is not a whole number of days.

        Raises:
            ValueError: It is not, or it is negative.
        """
        if self.label_delay_ms < 0 or self.label_delay_ms % DAY_MS:
            raise ValueError("the label delay must be a whole number of days")

    @property
    def label_delay_days(self) -> int:
        """The label delay in days."""
        return self.label_delay_ms // DAY_MS

    @property
    def merchant_memory_days(self) -> int:
        """How many days before that of its newest transaction a merchant remembers.

        A transaction may be as old as a card remembers, its window ends a label delay before, and the longest window
        reaches back from there; one day is spare, for event times a little ahead of the clock.
        """
        return RETENTION_MS // DAY_MS + self.label_delay_days + MERCHANT_WINDOW_DAYS + 1

    def refuses(self, event_time_ms: int, now_ms: int) -> bool:
        """Whether an event time lies too far ahead of the clock to be recorded."""
        return event_time_ms > now_ms + self.future_tolerance_ms


@dataclass(frozen=True)
class Catalogue:
    """The features in vector order, with the settings they depend on."""

    features: tuple[Feature, ...]
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        """Refuse two features of one name.

        Raises:
            ValueError: A name is used twice.
        """
        if len(set(self.names)) != len(self.features):
            raise ValueError("two features of one name in the catalogue")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in vector order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def request_only(self) -> tuple[str, ...]:
        """Names of the features known from the transaction alone, in vector order."""
        return tuple(feature.name for feature in self.features if feature.request_only)

    @cached_property
    def version(self) -> str:
        """Digest of definitions and settings (prose aside): equal versions give equal values."""
        defined = [[f.name, f.kind.value, f.entity.value, f.window_ms, f.of, f.whole_ms] for f in self.features]
        canonical = json.dumps([defined, asdict(self.settings)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def __getitem__(self, name: str) -> Feature:
        """The feature of that name.

        Raises:
            KeyError: No feature has it.
        """
        return self._by_name[name]

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}


CATALOGUE = Catalogue(
    (
        amount("amount"),
        count("txn_count_10m", 10 * MINUTE_MS),
        count("txn_count_1h", HOUR_MS),
        count("txn_count_24h", DAY_MS),
        total("total_amount_10m", 10 * MINUTE_MS),
        mean("avg_amount_24h", DAY_MS),
        distinct_cities("distinct_cities_1h", HOUR_MS),
        zscore("amount_zscore"),
        high_risk_merchant("is_high_risk_merchant"),
        hour_of_day("hour_of_day"),
        weekend("is_weekend"),
        count("txn_count_7d", 7 * DAY_MS),
        count("txn_count_30d", 30 * DAY_MS),
        mean("avg_amount_7d", 7 * DAY_MS),
        mean("avg_amount_30d", 30 * DAY_MS),
        distinct_cities("distinct_cities_24h", DAY_MS),
        seconds_since_last("seconds_since_last"),
        travel_speed("travel_speed_kmh"),
        is_new("is_new_merchant_30d", "merchant_id", "merchant"),
        is_new("is_new_city_30d", "city", "city"),
        ratio_to_mean("amount_to_mean_30d"),
        ratio_to_max("amount_to_max_30d"),
        spend_share("spend_share_10m_24h", 10 * MINUTE_MS, DAY_MS),
        night_share("night_share_30d"),
        merchant_count("merchant_txn_count_1d", 1),
        merchant_count("merchant_txn_count_7d", 7),
        merchant_count("merchant_txn_count_30d", 30),
        merchant_risk("merchant_risk_1d", 1),
        merchant_risk("merchant_risk_7d", 7),
        merchant_risk("merchant_risk_30d", 30),
    )
)
"""The catalogue of the system."""
