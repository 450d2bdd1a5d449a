"""What a backtest tells beside the model's own figures: money, days, and the frauds that hurt most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from functions.train.rows import DAY_MS, Floats, Ints, Rows
from shared.contracts.event_time import to_rfc3339
from shared.contracts.money import to_major_units
from shared.scoring.policy import Policy

WORST_MISSES = 10


@dataclass(frozen=True, slots=True)
class Money:
    """Amounts over the test period, in minor units.

    Attributes:
        fraud: Of all fraud.
        declined_fraud: Of fraud that would have been declined.
        reviewed_fraud: Of fraud that would have been reviewed.
        missed_fraud: Of fraud that would have been approved.
        declined_genuine: Of genuine transactions that would have been declined.
    """

    fraud: int
    declined_fraud: int
    reviewed_fraud: int
    missed_fraud: int
    declined_genuine: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the test period.

    Attributes:
        date: UTC date.
        transactions: All of them.
        frauds: Frauds among them.
        declined: Declined, rightly or not.
        caught: Frauds declined or reviewed.
    """

    date: str
    transactions: int
    frauds: int
    declined: int
    caught: int


@dataclass(frozen=True, slots=True)
class Miss:
    """A fraud that would have been approved."""

    row: int
    time: str
    amount_minor: int
    score: float


def decisions(scores: Floats, policy: Policy) -> Sequence[str]:
    """Return the policy's decision on each score."""
    return [policy.decide(score) for score in scores.tolist()]


def money(rows: Rows, decided: Sequence[str]) -> Money:
    """Return what was at stake and what came of it."""
    verdict = np.asarray(decided)

    def total(wanted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
        return int(rows.amount_minor[wanted].sum())

    return Money(
        fraud=total(rows.is_fraud),
        declined_fraud=total(rows.is_fraud & (verdict == "decline")),
        reviewed_fraud=total(rows.is_fraud & (verdict == "review")),
        missed_fraud=total(rows.is_fraud & (verdict == "approve")),
        declined_genuine=total(~rows.is_fraud & (verdict == "decline")),
    )


def by_day(rows: Rows, decided: Sequence[str]) -> list[Day]:
    """Return the days of the test period in order."""
    verdict = np.asarray(decided)
    day: Ints = rows.event_time_ms // DAY_MS
    days = []
    for number in np.unique(day).tolist():
        today = day == number
        fraud = today & rows.is_fraud
        days.append(
            Day(
                date=to_rfc3339(number * DAY_MS)[:10],
                transactions=int(today.sum()),
                frauds=int(fraud.sum()),
                declined=int((today & (verdict == "decline")).sum()),
                caught=int((fraud & (verdict != "approve")).sum()),
            )
        )
    return days


def worst_misses(rows: Rows, scores: Floats, decided: Sequence[str]) -> list[Miss]:
    """Return the ten approved frauds with the largest amounts."""
    missed = np.flatnonzero(rows.is_fraud & (np.asarray(decided) == "approve"))
    largest = missed[np.argsort(-rows.amount_minor[missed], kind="stable")][:WORST_MISSES]
    return [
        Miss(
            row=int(rows.row_id[index]),
            time=to_rfc3339(int(rows.event_time_ms[index])),
            amount_minor=int(rows.amount_minor[index]),
            score=float(scores[index]),
        )
        for index in largest.tolist()
    ]


def major(amount_minor: int, currency: str | None) -> str:
    """Return an amount for people; of several currencies together it has none."""
    if currency is None:
        return f"{amount_minor:,} minor units"
    return f"{to_major_units(amount_minor, currency)} {currency}"
