"""How features are finished from exact integers.

Every formula here rounds once per operation, in the order written, so that the history engine, which writes the same
formulas in SQL, gives the same doubles:

* mean = double(sum) / double(count);
* z-score = double(n * x - S1) / sqrt(double(n * S2 - S1^2)), with n, S1, S2 the number, sum and sum of squares of the
  others: the amount minus their mean over their population deviation, multiplied out so that "deviation 0" is decided
  on integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from shared.features.catalogue import Catalogue, Settings
from shared.features.definition import DAY_MS, HOUR_MS, ZSCORE_LEAST_OTHERS, Feature, Kind
from shared.features.plan import Aggregate, aggregates_of

Value = int | float | None


class Subject(NamedTuple):
    """What features look at of the transaction itself."""

    event_time_ms: int
    amount_minor: int
    merchant_category: str | None


Integers = Callable[[tuple[float, ...]], int]
"""Takes one aggregate, as an exact integer, out of a reply."""
Finisher = Callable[[tuple[float, ...], Subject], Value]
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
            return lambda _, x: (1 if x.merchant_category in risky else 0) if x.merchant_category else None
        case _:
            raise NotImplementedError(f"no way to compute {feature.name}, a {feature.kind}")


def _finisher(feature: Feature, settings: Settings, read: Callable[[Aggregate], Integers]) -> Finisher:
    if feature.request_only:
        return _request_finisher(feature, settings)
    integers = [read(aggregate) for aggregate in aggregates_of(feature)]
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
            count, total, squares = integers

            def finish(raw: tuple[float, ...], x: Subject) -> float:
                amount = x.amount_minor
                return zscore(amount, count(raw) - 1, total(raw) - amount, squares(raw) - amount * amount)

            return finish
        case _:
            raise NotImplementedError(f"no way to compute {feature.name}, a {feature.kind}")


def finishers(catalogue: Catalogue, read: Callable[[Aggregate], Integers]) -> tuple[Finisher, ...]:
    """The finishers of a catalogue's features in vector order, given how each aggregate is taken out of a reply."""
    return tuple(_finisher(feature, catalogue.settings, read) for feature in catalogue)


def request_finishers(catalogue: Catalogue) -> tuple[Finisher, ...]:
    """The same for a transaction whose history is away: features of the card are null."""
    return tuple(
        _request_finisher(feature, catalogue.settings) if feature.request_only else lambda _, __: None
        for feature in catalogue
    )
