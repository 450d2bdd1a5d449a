"""The feature catalogue: what each feature means, stated once; both engines are generated from it.

Meaning shared by all card features, for a transaction x of card c at event time t:

* History is the set of distinct transactions of c known when x is read, by transaction id. The first version
  of an id wins.
* A window W covers event times in (t - W, t], x included. "Others" are the known transactions of c in
  (t - 30 d, t] without x.
* A card remembers event times from the UTC day floor of (its newest event time - 31 d) on, and no window
  reaches before that.
* Amounts are integers in minor units and stay integers in sums.

Adding a feature is one line in `CATALOGUE`, in terms of `shared.features.kinds`. This module imports no client
library: every function of the system may import it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

from shared.features.definition import DAY_MS, HOUR_MS, MINUTE_MS, Entity, Feature, Kind
from shared.features.kinds import (
    amount,
    count,
    distinct_cities,
    high_risk_merchant,
    hour_of_day,
    is_new,
    mean,
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
        label_delay_ms: How long after a transaction its label is taken to be known.
        future_tolerance_ms: How far ahead of the clock an event time may lie. A caller refuses a transaction
            beyond it (`refuses`): recorded, it would age the whole card.
    """

    high_risk_categories: tuple[str, ...] = ("crypto", "gambling", "gift_cards", "jewelry", "money_transfer")
    label_delay_ms: int = 7 * DAY_MS
    future_tolerance_ms: int = 5 * MINUTE_MS

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
    )
)
"""The catalogue of the system."""
