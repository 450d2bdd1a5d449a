"""Counts false alarms of the drift function on a stream without drift, and finds on shifts put into it.

    python -m tests.e2e.verify_drift

The stream is simulated traffic with its features, scored by a model that learned from its first half. Windows are
bootstrapped from the second half by cards: one day of a card at a time, so that a window has the ties between rows that
a real day has. Beside them stand the real days of the stream, and its first days, while the features still fill up.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost

from functions.drift.comparison import Comparison, Sample, compare
from functions.drift.quantities import ALERTS, DECISION, SCORE, Measure, Quantity, quantities
from shared.features.catalogue import CATALOGUE
from shared.features.definition import DAY_MS
from shared.features.history import HistoryFeatures
from shared.simulation.history import generate_history

SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
SHIFTED_SIZES = (2_000, 10_000)
WINDOWS = 200
DAYS = 76
TRANSACTIONS = 600_000
REFERENCE_ROWS = 10_000
START_MS = 1_756_684_800_000  # a Monday, 2025-09-01
WARM_DAYS = 31
MIDDLE_DAY = 53


@dataclass(frozen=True)
class Stream:
    """All rows of the simulated stream, in event-time order, with the day of each."""

    sample: Sample
    day: npt.NDArray[np.int64]


def simulate(seed: int) -> Stream:
    history = generate_history(TRANSACTIONS, DAYS, start_ms=START_MS, seed=seed)
    source = {
        name: pa.array(values, from_pandas=True)
        for name, values in history.items()
        if name not in ("is_fraud", "pattern", "label_time_ms", "duplicate_ms", "arrival_ms")
    }
    table = HistoryFeatures().table(pa.table(source))
    columns = {name: table.column(name).to_numpy(zero_copy_only=False).astype(float) for name in CATALOGUE.names}
    day = (history["event_time_ms"] - START_MS) // DAY_MS
    matrix = np.column_stack(list(columns.values())).astype(np.float32)
    learned = (day >= WARM_DAYS) & (day < MIDDLE_DAY)
    parameters = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.15, "base_score": 0.5, "nthread": 2}
    booster = xgboost.train(
        parameters, xgboost.DMatrix(matrix[learned], history["is_fraud"][learned]), num_boost_round=60
    )
    columns[SCORE] = booster.predict(xgboost.DMatrix(matrix)).astype(float)
    review, decline = np.quantile(columns[SCORE][learned], [0.99, 0.997])
    columns[DECISION] = np.select(
        [columns[SCORE] >= decline, columns[SCORE] >= review], [ALERTS[1], ALERTS[0]], "approve"
    )
    card = np.unique(history["card_id"], return_inverse=True)[1]
    return Stream(Sample(columns, card, columns["hour_of_day"], columns["is_weekend"] > 0), day)


class Bootstrap:
    """Windows of any size, by days of cards."""

    def __init__(self, pool: Sample, day: npt.NDArray[np.int64]) -> None:
        key = pool.clusters * 1_000 + day
        self._order = np.argsort(key, kind="stable")
        _, self._first, self._count = np.unique(key[self._order], return_index=True, return_counts=True)
        self._pool = pool

    def window(self, rows: int, generator: np.random.Generator) -> Sample:
        drawn = generator.integers(0, len(self._first), rows)
        ends = np.cumsum(self._count[drawn])
        drawn = drawn[: int(np.searchsorted(ends, rows)) + 1]
        taken = [self._order[self._first[one] : self._first[one] + self._count[one]] for one in drawn]
        # A card-day drawn twice is two cards.
        clusters = np.repeat(np.arange(len(taken)), [len(one) for one in taken])[:rows]
        sample = self._pool.take(np.concatenate(taken)[:rows])
        return Sample(sample.columns, clusters, sample.hour_of_day, sample.is_weekend)


def shifted(window: Sample, quantity: Quantity, generator: np.random.Generator) -> Sample:
    """Move one quantity: half a deviation up, or ten points of a share."""
    values = window.columns[quantity.column].copy()
    if quantity.measure is Measure.STABILITY:
        values += 0.5 * np.nanstd(values)
    else:
        target = {True: np.nan, False: 1.0}[quantity.missing] if quantity.equals is None else quantity.equals
        others = np.flatnonzero(_others(values, quantity))
        values[generator.choice(others, min(len(others), len(values) // 10), replace=False)] = target
    columns = {**window.columns, quantity.column: values}
    return Sample(columns, window.clusters, window.hour_of_day, window.is_weekend)


def _others(values: npt.NDArray[np.generic], quantity: Quantity) -> npt.NDArray[np.bool_]:
    if quantity.equals is not None:
        return np.asarray(values != quantity.equals)
    return np.asarray(~np.isnan(values) if quantity.missing else values == 0)


def mature(wanted: list[Quantity], age_days: int) -> list[Quantity]:
    return [one for one in wanted if one.look_back_ms <= age_days * DAY_MS]


@dataclass
class Table:
    """Lines as they come, and whether every promise held."""

    held: bool = True

    def line(self, what: str, found: int, of: int, *, most: float | None = None, least: float | None = None) -> None:
        share = found / of
        good = (most is None or share <= most) and (least is None or share >= least)
        self.held &= good
        wanted = f"<= {most:.0%}" if most is not None else f">= {least:.0%}"
        print(
            f"| {what:<62} | {found:>5} of {of:<5} | {share:>6.1%} | {wanted:>7} | {'yes' if good else 'NO':>3} |",
            flush=True,
        )


def judged(reference: Sample, windows: Iterator[Sample], wanted: list[Quantity]) -> list[Comparison]:
    return [compare(reference, window, wanted) for window in windows]


def verify(seed: int, repeats: int) -> bool:
    started = time.monotonic()
    stream = simulate(seed)
    print(f"simulated {len(stream.sample)} transactions in {time.monotonic() - started:.0f} s", file=sys.stderr)
    generator = np.random.default_rng(seed)
    wanted = quantities(CATALOGUE, CATALOGUE.names)
    learned = np.flatnonzero((stream.day >= WARM_DAYS) & (stream.day < MIDDLE_DAY))
    reference = stream.sample.take(np.sort(generator.choice(learned, REFERENCE_ROWS, replace=False)))
    later = np.flatnonzero(stream.day >= MIDDLE_DAY)
    source = Bootstrap(stream.sample.take(later), stream.day[later])
    table = Table()
    print(f"| {'windows':<62} | {'alarms':>14} | {'share':>6} | {'wanted':>7} | {'met':>3} |")
    print(f"|{'-' * 64}|{'-' * 16}|{'-' * 8}|{'-' * 9}|{'-' * 5}|")
    alarms = 0
    for size in SIZES:
        found = judged(reference, (source.window(size, generator) for _ in range(WINDOWS // len(SIZES))), wanted)
        drifted = [one for one in found if one.drifted]
        for one in drifted:
            print(f"{size} rows: {[(f.name, round(f.effect, 3)) for f in one.drifted]}", file=sys.stderr)
        alarms += len(drifted)
        table.line(f"no drift, {size:,} rows", len(drifted), len(found), most=0.08)
    table.line("no drift, all", alarms, WINDOWS, most=0.02)
    days = [stream.sample.take(stream.day == day) for day in range(DAYS - 1)]
    true_days = judged(reference, iter(days[MIDDLE_DAY:]), wanted)
    table.line(
        "no drift, the stream's own days", sum(bool(one.drifted) for one in true_days), len(true_days), most=0.02
    )
    cold = [compare(reference, day, mature(wanted, number)) for number, day in enumerate(days[:WARM_DAYS])]
    for number, one in enumerate(cold):
        if one.drifted:
            print(f"day {number}: {[(f.name, round(f.effect, 3)) for f in one.drifted]}", file=sys.stderr)
    table.line(
        "no drift, first 31 days of the stream, features filling", sum(bool(o.drifted) for o in cold), 31, most=0.02
    )
    for size in SHIFTED_SIZES:
        found_by: dict[str, int] = {}
        for quantity in wanted:
            for _ in range(repeats):
                window = shifted(source.window(size, generator), quantity, generator)
                names = {one.name for one in compare(reference, window, wanted).drifted}
                found_by[quantity.name] = found_by.get(quantity.name, 0) + (quantity.name in names)
        for name, count in found_by.items():
            if count < repeats:
                print(f"{size} rows: {name} found {count} of {repeats} times", file=sys.stderr)
        kinds = {
            "half a deviation of one of": [one for one in wanted if one.measure is Measure.STABILITY],
            "ten points of the share of one of": [one for one in wanted if one.measure is Measure.SHARE],
        }
        for what, kind in kinds.items():
            count = sum(found_by[one.name] for one in kind)
            table.line(f"{what} {len(kind)} quantities, {size:,} rows", count, repeats * len(kind), least=0.95)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return table.held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10, help="windows per shifted quantity and size")
    options = parser.parse_args()
    return 0 if verify(options.seed, options.repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
