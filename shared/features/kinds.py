"""The kinds of features a catalogue is made of: each function here states one feature, words included."""

from __future__ import annotations

from shared.features.definition import DAY_MS, OTHERS_WINDOW_MS, ZSCORE_LEAST_OTHERS, Entity, Feature, Kind
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


def seconds_since_last(name: str) -> Feature:
    """Time since the card's previous transaction."""
    return Feature(
        name,
        Kind.SINCE_LAST,
        Entity.CARD,
        unit="seconds",
        meaning="Seconds, with milliseconds, since the latest of the card's other transactions of the last 30 days.",
        null_when="the card has no other in the last 30 days",
        phrases=Phrases("{value:,.0f} seconds since the card's previous transaction")
        .zero("another transaction at the same moment")
        .unknown("no earlier transaction in the last 30 days"),
        window_ms=OTHERS_WINDOW_MS,
    )


def travel_speed(name: str) -> Feature:
    """Speed needed to come from the place of the card's previous transaction."""
    return Feature(
        name,
        Kind.SPEED,
        Entity.CARD,
        unit="km/h",
        meaning=(
            "Great-circle distance to the latest of the card's other transactions of the last 30 days whose place is "
            "known, over the time between, at least a second. Of several at one moment the first recorded counts."
        ),
        null_when="the place of the transaction, or of all others, is unknown",
        phrases=Phrases("{value:,.0f} km/h from the place of the card's previous transaction")
        .zero("the same place as the card's previous transaction")
        .unknown("no place to measure travel from"),
        window_ms=OTHERS_WINDOW_MS,
    )


def is_new(name: str, field: str, noun: str) -> Feature:
    """Whether the card meets a merchant, city and so on for the first time in 30 days."""
    return Feature(
        name,
        Kind.IS_NEW,
        Entity.CARD,
        unit=FLAG,
        meaning=f"1 when none of the card's other transactions of the last 30 days has the same {noun}, else 0.",
        null_when=f"the {noun} is unknown",
        phrases=Phrases(f"a {noun} new to the card")
        .zero(f"a {noun} the card was used at before")
        .unknown(f"an unknown {noun}"),
        window_ms=OTHERS_WINDOW_MS,
        of=field,
    )


def ratio_to_mean(name: str) -> Feature:
    """The amount over the mean of the card's other amounts."""
    return Feature(
        name,
        Kind.RATIO_TO_MEAN,
        Entity.CARD,
        unit="ratio",
        meaning="The amount over the mean of the card's other amounts of the last 30 days.",
        null_when="the card has no other in the last 30 days, or all are zero",
        phrases=Phrases("{value:,.1f} times the card's mean amount").unknown("no earlier amounts to compare with"),
        window_ms=OTHERS_WINDOW_MS,
    )


def ratio_to_max(name: str) -> Feature:
    """The amount over the largest of the card's other amounts."""
    return Feature(
        name,
        Kind.RATIO_TO_MAX,
        Entity.CARD,
        unit="ratio",
        meaning="The amount over the largest of the card's other amounts of the last 30 days.",
        null_when="the card has no other in the last 30 days, or all are zero",
        phrases=Phrases("{value:,.1f} times the card's largest amount").unknown("no earlier amounts to compare with"),
        window_ms=OTHERS_WINDOW_MS,
    )


def spend_share(name: str, window_ms: int, whole_ms: int) -> Feature:
    """The share of a longer window's spend that falls into a shorter one."""
    return Feature(
        name,
        Kind.SPEND_SHARE,
        Entity.CARD,
        unit="share",
        meaning=f"Share of the last {span(whole_ms)}' spend that falls into the last {span(window_ms)}.",
        null_when=f"nothing was spent in the last {span(whole_ms)}",
        phrases=Phrases(f"{{value:.0%}} of the last {span(whole_ms)}' spend in the last {span(window_ms)}").unknown(
            f"nothing spent in the last {span(whole_ms)}"
        ),
        window_ms=window_ms,
        whole_ms=whole_ms,
    )


def night_share(name: str) -> Feature:
    """The share of the card's transactions that are made at night."""
    return Feature(
        name,
        Kind.NIGHT_SHARE,
        Entity.CARD,
        unit="share",
        meaning="Share of the card's transactions of the last 30 days, this one included, before 06:00 UTC.",
        phrases=Phrases("{value:.0%} of the last 30 days' transactions made at night"),
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


def merchant_count(name: str, days: int) -> Feature:
    """How many transactions the merchant had on whole days whose labels are taken to be known."""
    return Feature(
        name,
        Kind.MERCHANT_COUNT,
        Entity.MERCHANT,
        unit="transactions",
        meaning=(
            f"The merchant's known transactions on the {_whole_days(days)} before the label delay, counted back from "
            "the UTC day of the event time."
        ),
        null_when="the merchant is unknown",
        phrases=Phrases(f"{{value}} transactions at the merchant on {_settled_days(days)}")
        .zero(f"no transaction at the merchant on {_settled_days(days)}")
        .one(f"one transaction at the merchant on {_settled_days(days)}")
        .unknown("an unknown merchant"),
        window_ms=days * DAY_MS,
    )


def merchant_risk(name: str, days: int) -> Feature:
    """The share of those transactions that is known to be fraud."""
    return Feature(
        name,
        Kind.MERCHANT_RISK,
        Entity.MERCHANT,
        unit="share",
        meaning=(
            "Share labelled fraud, by labels known at the event time, of the merchant's known transactions on the "
            f"{_whole_days(days)} before the label delay, counted back from the UTC day of the event time."
        ),
        null_when="the merchant is unknown or had no transaction on those days",
        phrases=Phrases(f"{{value:.2%}} fraud at the merchant on {_settled_days(days)}")
        .zero(f"no fraud known of the merchant on {_settled_days(days)}")
        .unknown(f"no transaction known of the merchant on {_settled_days(days)}"),
        window_ms=days * DAY_MS,
    )


def _whole_days(days: int) -> str:
    return "whole UTC day" if days == 1 else f"{days} whole UTC days"


def _settled_days(days: int) -> str:
    return "the latest day with labels" if days == 1 else f"the latest {days} days with labels"
