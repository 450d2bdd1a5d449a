"""How features are finished from exact integers.

Every formula here rounds once per operation, in the order written, so that the history engine, which writes the same
formulas in SQL, gives the same doubles. n, S1, S2 are the number, sum and sum of squares of the others' amounts.

* mean = double(sum) / double(count); shares of spend, of night and of a merchant's frauds likewise;
* z-score = double(n * x - S1) / sqrt(double(n * S2 - S1^2)): the amount minus the others' mean over their population
  deviation, multiplied out so that "deviation 0" is decided on integers;
* ratio to the mean = double(n * x) / double(S1);
* seconds = double(milliseconds) / 1000;
* speed: see `speed_kmh`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import NamedTuple

from shared.features.catalogue import Catalogue, Settings
from shared.features.definition import DAY_MS, HOUR_MS, ZSCORE_LEAST_OTHERS, Feature, Kind
from shared.features.plan import Aggregate, aggregates_of

Value = int | float | None


Place = tuple[int, int]
"""Latitude and longitude in units of 10^-7 degrees, about a centimetre."""
EARTH_RADIUS_KM = 6371.0088
RADIANS_PER_UNIT = math.pi / 1.8e9


class Subject(NamedTuple):
    """What features look at of the transaction itself."""

    event_time_ms: int
    amount_minor: int
    place: Place | None
    merchant_id: str | None
    merchant_category: str | None
    city: str | None
    country: str | None
    channel: str | None


Raw = tuple[int, ...]
"""The numbers of a reply, all of them integers."""
Integers = Callable[[Raw], int]
"""Takes one exact integer out of a reply."""
Finisher = Callable[[Raw, Subject], Value]
"""Makes one feature's value of a reply and the transaction."""


def mean(total: int, count: int) -> float:
    """The mean of `count` amounts."""
    return float(total) / float(count)


def zscore(amount: int, others: int, total: int, squares: int) -> float:
    """How many population deviations an amount lies from the mean of the others; 0 where that means nothing."""
    spread = others * squares - total * total
    if others < ZSCORE_LEAST_OTHERS or spread == 0:
        return 0.0
    return float(others * amount - total) / math.sqrt(float(spread))


def ratio(part: int, whole: int) -> float | None:
    """One integer over another; null when the divisor is 0."""
    return float(part) / float(whole) if whole else None


def speed_kmh(here: Place, there: Place, elapsed_ms: int) -> float:
    """Great-circle distance by the haversine formula over the time elapsed, at least a second, in km/h.

    h = sin(dlat / 2)^2 + cos(lat1) * cos(lat2) * sin(dlon / 2)^2; distance = 2 * R * asin(min(1, sqrt(h))), with
    R = 6371.0088 km (IUGG mean radius) and lat1 the earlier place.
    """
    half_latitude = math.sin((here[0] - there[0]) * RADIANS_PER_UNIT / 2)
    half_longitude = math.sin((here[1] - there[1]) * RADIANS_PER_UNIT / 2)
    cosines = math.cos(there[0] * RADIANS_PER_UNIT) * math.cos(here[0] * RADIANS_PER_UNIT)
    haversine = half_latitude * half_latitude + cosines * (half_longitude * half_longitude)
    distance = 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(haversine)))
    return distance * 3600 / max(elapsed_ms / 1000, 1.0)


def hour_of_day(event_time_ms: int) -> int:
    """UTC hour, 0 to 23."""
    return event_time_ms // HOUR_MS % 24


def is_weekend(event_time_ms: int) -> int:
    """1 on a UTC Saturday or Sunday. Day 0 of Unix time was a Thursday."""
    return 1 if (event_time_ms // DAY_MS + 3) % 7 >= 5 else 0


def _request_finisher(feature: Feature, settings: Settings) -> Finisher:
    """The finisher of a feature of the transaction alone.

    Raises:
        NotImplementedError: The kind is not one of the transaction alone.
    """
    match feature.kind:
        case Kind.AMOUNT:
            return lambda _, x: x.amount_minor
        case Kind.HOUR_OF_DAY:
            return lambda _, x: hour_of_day(x.event_time_ms)
        case Kind.WEEKEND:
            return lambda _, x: is_weekend(x.event_time_ms)
        case Kind.HIGH_RISK:
            risky = frozenset(settings.high_risk_categories)
            text = attrgetter(str(feature.of))
            return lambda _, x: (1 if text(x) in risky else 0) if text(x) else None
        case _:
            raise NotImplementedError(f"no way to compute {feature.name}, a {feature.kind}")


def _finisher(feature: Feature, settings: Settings, read: Callable[[Aggregate], Sequence[Integers]]) -> Finisher:  # noqa: C901, PLR0911, PLR0912 - one case per kind
    if feature.request_only:
        return _request_finisher(feature, settings)
    integers = [integer for aggregate in aggregates_of(feature) for integer in read(aggregate)]
    match feature.kind:
        case Kind.COUNT | Kind.SUM:
            (only,) = integers
            return lambda raw, _: only(raw)
        case Kind.MEAN:
            count, total = integers
            return lambda raw, _: mean(total(raw), count(raw))
        case Kind.DISTINCT:
            (number,) = integers
            return lambda raw, _: number(raw) or None
        case Kind.ZSCORE:
            return _zscore(*integers)
        case Kind.SPEND_SHARE:
            part, whole = integers
            return lambda raw, _: ratio(part(raw), whole(raw))
        case Kind.NIGHT_SHARE:
            count, night = integers
            return lambda raw, _: mean(night(raw), count(raw))
        case Kind.RATIO_TO_MEAN:
            count, total = integers
            return lambda raw, x: ratio((count(raw) - 1) * x.amount_minor, total(raw) - x.amount_minor)
        case Kind.RATIO_TO_MAX:
            (largest,) = integers
            return lambda raw, x: ratio(x.amount_minor, largest(raw))
        case Kind.SINCE_LAST:
            (latest,) = integers
            return lambda raw, x: None if (last := latest(raw)) < 0 else float(x.event_time_ms - last) / 1000.0
        case Kind.IS_NEW:
            (met,) = integers
            text = attrgetter(str(feature.of))
            return lambda raw, x: 1 - met(raw) if text(x) else None
        case Kind.SPEED:
            return _speed(*integers)
        case Kind.MERCHANT_COUNT:
            (number,) = integers
            return lambda raw, x: number(raw) if x.merchant_id else None
        case Kind.MERCHANT_RISK:
            count, frauds = integers
            return lambda raw, x: ratio(frauds(raw), count(raw)) if x.merchant_id else None
        case _:
            raise NotImplementedError(f"no way to compute {feature.name}, a {feature.kind}")


def _zscore(count: Integers, total: Integers, squares: Integers) -> Finisher:
    def finish(raw: Raw, x: Subject) -> float:
        amount = x.amount_minor
        return zscore(amount, count(raw) - 1, total(raw) - amount, squares(raw) - amount * amount)

    return finish


def _speed(latest: Integers, latitude: Integers, longitude: Integers) -> Finisher:
    def finish(raw: Raw, x: Subject) -> float | None:
        then = latest(raw)
        if then < 0 or x.place is None:
            return None
        return speed_kmh(x.place, (latitude(raw), longitude(raw)), x.event_time_ms - then)

    return finish


def finishers(catalogue: Catalogue, read: Callable[[Aggregate], Sequence[Integers]]) -> tuple[Finisher, ...]:
    """The finishers of a catalogue's features in vector order, given how the integers of an aggregate are taken out."""
    return tuple(_finisher(feature, catalogue.settings, read) for feature in catalogue)


def request_finishers(catalogue: Catalogue) -> tuple[Finisher, ...]:
    """The same for a transaction whose history is away: features of the card and the merchant are null."""
    return tuple(
        _request_finisher(feature, catalogue.settings) if feature.request_only else lambda _, __: None
        for feature in catalogue
    )
