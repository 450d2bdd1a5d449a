"""The meaning of the features by brute force: a list of transactions, and each feature's sentence as a loop over it.

Nothing here is shared with the engines, nothing is fast, and every function reads like the sentence it states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import asin, cos, floor, isqrt, pi, sin, sqrt

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LABEL_DELAY_DAYS = 7
MERCHANT_MEMORY_DAYS = 31 + LABEL_DELAY_DAYS + 30 + 1
HIGH_RISK = {"jewelry", "gift_cards", "crypto", "gambling", "money_transfer"}


@dataclass(frozen=True)
class Tx:
    """A transaction as the features see it."""

    transaction_id: str
    card_id: str
    event_time_ms: int
    amount_minor: int
    merchant_id: str = "m"
    merchant_category: str | None = None
    city: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    channel: str | None = None

    def content(self) -> tuple[object, ...]:
        """What two versions of an id are told apart by: an empty text is unknown, half a place is none."""
        texts = (self.merchant_id, self.merchant_category, self.city, self.country, self.channel)
        return (self.event_time_ms, self.amount_minor, place(self), *(text or None for text in texts))


@dataclass(frozen=True)
class Label:
    """What became known of a transaction at `label_time_ms`."""

    transaction_id: str
    card_id: str
    merchant_id: str
    event_time_ms: int
    is_fraud: bool
    label_time_ms: int


@dataclass
class Card:
    """What is known of one card, in the order it became known."""

    known: list[Tx] = field(default_factory=list)

    def horizon(self, *more: Tx) -> int | None:
        """The earliest event time remembered, given what is known (and `more`)."""
        times = [tx.event_time_ms for tx in (*self.known, *more)]
        if not times:
            return None
        return (max(times) - 31 * DAY) // DAY * DAY

    def first_version(self, transaction_id: str) -> Tx | None:
        horizon = self.horizon()
        for tx in self.known:
            if tx.transaction_id == transaction_id and tx.event_time_ms >= horizon:
                return tx
        return None


@dataclass
class Merchant:
    """What is known of one merchant, in the order it became known."""

    known: list[Tx] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def first_day(self) -> int:
        """The first UTC day remembered."""
        return max((day(tx.event_time_ms) for tx in self.known), default=0) - MERCHANT_MEMORY_DAYS


class Oracle:
    """Answers like the feature store: record a transaction, read its features; take in labels."""

    card_type: type[Card] = Card

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.merchants: dict[str, Merchant] = {}

    def record_and_read(self, tx: Tx, *, read: bool = True) -> tuple[str, dict[str, int | float | None]]:
        """The status ("new", "seen", "conflict", "too_late") and every feature by name; none unless `read`."""
        card = self.cards.setdefault(tx.card_id, self.card_type())
        first = card.first_version(tx.transaction_id)
        if first is not None:
            status = "seen" if first.content() == tx.content() else "conflict"
            return status, self._features(first, card.known, card.horizon()) if read else {}
        horizon = card.horizon(tx)
        if tx.event_time_ms < horizon:
            return "too_late", self._features(tx, [tx], horizon) if read else {}
        card.known.append(tx)
        self._merchant(tx.merchant_id).known.append(tx)
        return "new", self._features(tx, card.known, horizon) if read else {}

    def label(self, label: Label) -> None:
        """Take in a label; its transaction may be known already, become known later, or never."""
        self._merchant(label.merchant_id).labels.append(label)

    def _merchant(self, merchant_id: str) -> Merchant:
        return self.merchants.setdefault(merchant_id, Merchant())

    def _features(self, x: Tx, known: list[Tx], horizon: int) -> dict[str, int | float | None]:
        return features(x, known, horizon) | merchant_features(x, self._merchant(x.merchant_id))


def window(x: Tx, known: list[Tx], horizon: int, length: int) -> list[Tx]:
    """The known transactions in (t - length, t], never before the horizon; x itself always."""
    t = x.event_time_ms
    return [y for y in known if y is x or (t - length < y.event_time_ms <= t and y.event_time_ms >= horizon)]


def features(x: Tx, known: list[Tx], horizon: int) -> dict[str, int | float | None]:
    """Every feature of x, from the transactions known."""
    t = x.event_time_ms

    def last(length: int) -> list[Tx]:
        return window(x, known, horizon, length)

    def total(length: int) -> int:
        return sum(y.amount_minor for y in last(length))

    def cities(length: int) -> int | None:
        return len({y.city for y in last(length) if y.city}) or None

    others = [y for y in last(30 * DAY) if y is not x]
    category = x.merchant_category
    return {
        "amount": x.amount_minor,
        "txn_count_10m": len(last(10 * MINUTE)),
        "txn_count_1h": len(last(HOUR)),
        "txn_count_24h": len(last(DAY)),
        "total_amount_10m": total(10 * MINUTE),
        "avg_amount_24h": float(total(DAY)) / float(len(last(DAY))),
        "distinct_cities_1h": cities(HOUR),
        "amount_zscore": zscore(x.amount_minor, [y.amount_minor for y in others]),
        "is_high_risk_merchant": None if not category else int(category in HIGH_RISK),
        "hour_of_day": t % DAY // HOUR,
        "is_weekend": int(weekday(t) >= 5),
        "txn_count_7d": len(last(7 * DAY)),
        "txn_count_30d": len(last(30 * DAY)),
        "avg_amount_7d": float(total(7 * DAY)) / float(len(last(7 * DAY))),
        "avg_amount_30d": float(total(30 * DAY)) / float(len(last(30 * DAY))),
        "distinct_cities_24h": cities(DAY),
        "seconds_since_last": float(t - max(y.event_time_ms for y in others)) / 1000 if others else None,
        "travel_speed_kmh": travel_speed(x, others),
        "is_new_merchant_30d": int(all(y.merchant_id != x.merchant_id for y in others)) if x.merchant_id else None,
        "is_new_city_30d": int(all(y.city != x.city for y in others)) if x.city else None,
        "amount_to_mean_30d": divided(len(others) * x.amount_minor, sum(y.amount_minor for y in others)),
        "amount_to_max_30d": divided(x.amount_minor, max((y.amount_minor for y in others), default=0)),
        "spend_share_10m_24h": divided(total(10 * MINUTE), total(DAY)),
        "night_share_30d": divided(sum(y.event_time_ms % DAY < 6 * HOUR for y in last(30 * DAY)), len(last(30 * DAY))),
    }


def day(t: int) -> int:
    """The UTC day, counted from the first of January 1970."""
    return t // DAY


def merchant_features(x: Tx, merchant: Merchant) -> dict[str, int | float | None]:
    """Every feature of x's merchant; all null when it is unknown which that is."""
    values: dict[str, int | float | None] = {}
    for days in (1, 7, 30):
        seen = merchant_window(x, merchant, days)
        frauds = [y for y in seen if is_fraud(y, merchant.labels, x.event_time_ms)]
        values[f"merchant_txn_count_{days}d"] = len(seen) if x.merchant_id else None
        values[f"merchant_risk_{days}d"] = divided(len(frauds), len(seen)) if x.merchant_id else None
    return values


def merchant_window(x: Tx, merchant: Merchant, days: int) -> list[Tx]:
    """The merchant's known transactions on the whole UTC days that end a label delay before x's day."""
    first = max(day(x.event_time_ms) - LABEL_DELAY_DAYS - days, merchant.first_day())
    last = day(x.event_time_ms) - LABEL_DELAY_DAYS - 1
    return [y for y in merchant.known if first <= day(y.event_time_ms) <= last]


def is_fraud(y: Tx, labels: list[Label], t: int) -> bool:
    """What the latest label known at t says of y; of several at one moment fraud wins. Without one it is genuine."""
    said = [
        (label.label_time_ms, label.is_fraud)
        for label in labels
        if (label.transaction_id, label.card_id) == (y.transaction_id, y.card_id)
        and day(label.event_time_ms) == day(y.event_time_ms)
        and label.label_time_ms <= t
    ]
    return bool(said) and max(said)[1]


def divided(part: int, whole: int) -> float | None:
    """A quotient, null when the divisor is 0."""
    return float(part) / float(whole) if whole else None


def place(x: Tx) -> tuple[int, int] | None:
    """Latitude and longitude to 10^-7 degrees, None unless both are known."""
    if x.latitude is None or x.longitude is None:
        return None
    return floor(x.latitude * 1e7 + 0.5), floor(x.longitude * 1e7 + 0.5)


def travel_speed(x: Tx, others: list[Tx]) -> float | None:
    """Great circle from the latest located other (of several at one moment the first recorded), over the time since."""
    located = [y for y in others if place(y)]
    if not located or not place(x):
        return None
    latest = max(y.event_time_ms for y in located)
    previous = next(y for y in located if y.event_time_ms == latest)
    return great_circle_km(place(previous), place(x)) * 3600 / max((x.event_time_ms - latest) / 1000, 1.0)


def great_circle_km(one: tuple[int, int], two: tuple[int, int]) -> float:
    """Haversine on a sphere of 6371.0088 km."""
    unit = pi / 1.8e9
    south, north = sin((two[0] - one[0]) * unit / 2), sin((two[1] - one[1]) * unit / 2)
    h = south * south + cos(one[0] * unit) * cos(two[0] * unit) * (north * north)
    return 2 * 6371.0088 * asin(min(1.0, sqrt(h)))


def weekday(t: int) -> int:
    """Monday is 0. The first of January 1970 was a Thursday."""
    return (3 + t // DAY) % 7


def zscore(amount: int, others: list[int]) -> float:
    """(amount - mean) / population deviation, multiplied out by the number of others; all but the last steps exact."""
    n, total, squares = len(others), sum(others), sum(a * a for a in others)
    if n < 5 or len(set(others)) == 1:
        return 0.0
    return float(n * amount - total) / sqrt(float(n * squares - total * total))


def true_zscore(amount: int, others: list[int]) -> float:
    """The same from the definition, in exact arithmetic, rounded once."""
    n = len(others)
    mean = Fraction(sum(others), n)
    square = (amount - mean) ** 2 / (sum((a - mean) ** 2 for a in others) / n)
    root = float(Fraction(isqrt((square.numerator << 400) // square.denominator), 1 << 200))
    return root if amount >= mean else -root
