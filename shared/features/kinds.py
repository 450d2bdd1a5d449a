"""The kinds of features a catalogue is made of: each function here states one feature, words included."""

from __future__ import annotations

from shared.features.definition import OTHERS_WINDOW_MS, ZSCORE_LEAST_OTHERS, Entity, Feature, Kind
from shared.features.phrases import FLAG, Phrases, span


def amount(name: str) -> Feature:
    """The transaction's own amount."""
    return Feature(
        name,
        Kind.AMOUNT,
        Entity.TRANSACTION,
        unit="minor units",
        meaning="The transaction's amount.",
        phrases=Phrases("an amount of {money}"),
    )


def count(name: str, window_ms: int) -> Feature:
    """How many transactions of the card lie in a window."""
    return Feature(
        name,
        Kind.COUNT,
        Entity.CARD,
        unit="transactions",
        meaning=f"The card's transactions in the last {span(window_ms)}, this one included.",
        phrases=Phrases(f"{{value}} transactions in the last {span(window_ms)}").one(
            f"the only transaction in the last {span(window_ms)}"
        ),
        window_ms=window_ms,
    )


def total(name: str, window_ms: int) -> Feature:
    """The sum of the card's amounts in a window."""
    return Feature(
        name,
        Kind.SUM,
        Entity.CARD,
        unit="minor units",
        meaning=f"Sum of the card's amounts in the last {span(window_ms)}, this one included.",
        phrases=Phrases(f"{{money}} spent in the last {span(window_ms)}"),
        window_ms=window_ms,
    )


def mean(name: str, window_ms: int) -> Feature:
    """The mean of the card's amounts in a window."""
    return Feature(
        name,
        Kind.MEAN,
        Entity.CARD,
        unit="minor units",
        meaning=f"Mean of the card's amounts in the last {span(window_ms)}, this one included.",
        phrases=Phrases(f"a mean amount of {{money}} in the last {span(window_ms)}"),
        window_ms=window_ms,
    )


def distinct_cities(name: str, window_ms: int) -> Feature:
    """How many different cities the card was used in within a window."""
    return Feature(
        name,
        Kind.DISTINCT,
        Entity.CARD,
        unit="cities",
        meaning=f"Different known cities of the card's transactions in the last {span(window_ms)}.",
        null_when="no city in the window is known",
        phrases=Phrases(f"{{value}} different cities in the last {span(window_ms)}")
        .one(f"one city in the last {span(window_ms)}")
        .unknown(f"no known city in the last {span(window_ms)}"),
        window_ms=window_ms,
        of="city",
    )


def zscore(name: str) -> Feature:
    """The amount against the card's other amounts."""
    return Feature(
        name,
        Kind.ZSCORE,
        Entity.CARD,
        unit="standard deviations",
        meaning=(
            "The amount minus the mean of the card's other amounts of the last 30 days, over their "
            f"population deviation; 0 below {ZSCORE_LEAST_OTHERS} others or at zero deviation."
        ),
        phrases=Phrases("an amount {value:+.1f} standard deviations from the card's mean"),
        window_ms=OTHERS_WINDOW_MS,
    )


def high_risk_merchant(name: str) -> Feature:
    """Whether the merchant's category is on the high-risk list of the settings."""
    return Feature(
        name,
        Kind.HIGH_RISK,
        Entity.TRANSACTION,
        unit=FLAG,
        meaning="1 when the merchant's category is on the high-risk list of the settings, else 0.",
        null_when="the merchant's category is unknown",
        phrases=Phrases("a merchant category of high risk")
        .zero("a merchant category of ordinary risk")
        .unknown("an unknown merchant category"),
        of="merchant_category",
    )


def hour_of_day(name: str) -> Feature:
    """The UTC hour of the event time."""
    return Feature(
        name,
        Kind.HOUR_OF_DAY,
        Entity.TRANSACTION,
        unit="hours",
        meaning="UTC hour of the event time, 0 to 23.",
        phrases=Phrases("the hour of day ({value:02d}:00 UTC)"),
    )


def weekend(name: str) -> Feature:
    """Whether the event time is on a UTC Saturday or Sunday."""
    return Feature(
        name,
        Kind.WEEKEND,
        Entity.TRANSACTION,
        unit=FLAG,
        meaning="1 when the event time is on a Saturday or Sunday in UTC, else 0.",
        phrases=Phrases("a weekend").zero("a working day"),
    )
