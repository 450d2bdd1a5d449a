"""Counts false alarms of the drift function on a stream without drift, and finds on shifts put into it.

    python -m tests.e2e.verify_drift

The stream is simulated traffic with its features, scored by a model that learned from its first half. Windows are
bootstrapped from the second half by cards: one day of a card at a time, so that a window has the ties between rows that
a real day has. Beside them stand the real days of the stream, and its first days, while the features still fill up.

Of a merchant's risk drift compares the missing share alone (`functions.drift.quantities`). A line of the table has what
comparing its values would find on the same days without drift.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost

from functions.drift.comparison import ERROR_RATE, Sample, compare
from functions.drift.quantities import ALERTS, DECISION, SCORE, Measure, Quantity, look_back_ms, quantities
from shared.features.catalogue import CATALOGUE, Kind
from shared.features.definition import DAY_MS
from shared.features.history import HistoryFeatures
from shared.simulation.history import generate_history

SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
SHIFTED_SIZES = (2_000, 10_000)
WINDOWS = 200
DAYS = 76
TRANSACTIONS = 600_000
REFERENCE_ROWS = 20_000  # what a training logs
START_MS = 1_756_684_800_000  # a Monday, 2025-09-01
WARM_DAYS = 31
MIDDLE_DAY = 53
LABELLED = ("transaction_id", "card_id", "merchant_id", "event_time_ms")
WANTED = quantities(CATALOGUE, CATALOGUE.names)
RISKS = [
    Quantity(one.name, one.name, Measure.STABILITY, look_back_ms(one, CATALOGUE), of_merchant=True)
    for one in CATALOGUE
    if one.kind is Kind.MERCHANT_RISK
]
SHIFTS = {
    Measure.STABILITY: "half a deviation, each of the features and the score in turn:",
    Measure.SHARE: "ten points, each of the shares (flags, missing values, decisions) in turn:",
}


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
    said = history["label_time_ms"] >= 0
    labels = {name: source[name].filter(pa.array(said)) for name in LABELLED}
    labels |= {
        "is_fraud": pa.array(history["is_fraud"][said]),
        "label_time_ms": pa.array(history["label_time_ms"][said]),
    }
    table = HistoryFeatures().table(pa.table(source), pa.table(labels))
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
    merchant = np.unique(history["merchant_id"], return_inverse=True)[1]
    age = history["event_time_ms"] - START_MS
    sample = Sample(columns, card, merchant, columns["hour_of_day"], columns["is_weekend"] > 0, age, np.ones(len(day)))
    return Stream(sample, day)


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
        return replace(sample, clusters=clusters)


def shifted(window: Sample, quantity: Quantity, generator: np.random.Generator) -> Sample:
    """Move one quantity: half a deviation up, or ten points of a share."""
    values = window.columns[quantity.column].copy()
    if quantity.measure is Measure.STABILITY:
        values += 0.5 * np.nanstd(values)
    else:
        target = {True: np.nan, False: 1.0}[quantity.missing] if quantity.equals is None else quantity.equals
        others = np.flatnonzero(_others(values, quantity))
        values[generator.choice(others, min(len(others), len(values) // 10), replace=False)] = target
    return replace(window, columns={**window.columns, quantity.column: values})


def _others(values: npt.NDArray[np.generic], quantity: Quantity) -> npt.NDArray[np.bool_]:
    if quantity.equals is not None:
        return np.asarray(values != quantity.equals)
    return np.asarray(~np.isnan(values) if quantity.missing else values == 0)


class Table:
    """Lines as they come, and whether every promise held."""

    def __init__(self) -> None:
        self.held = True
        print("| windows | alarms | share | wanted |\n|---|---|---|---|")

    def line(self, what: str, found: int, of: int, *, most: float = 1.0, least: float = 0.0) -> None:
        share = found / of
        self.held &= least <= share <= most
        wanted = f"<= {most:.0%}" if most < 1 else f">= {least:.0%}" if least else ""
        print(f"| {what} | {found} of {of} | {share:.1%} | {wanted} |", flush=True)


@dataclass(frozen=True)
class Trial:
    """A stream with its reference, and the windows to judge."""

    stream: Stream
    reference: Sample
    windows: Bootstrap
    generator: np.random.Generator

    @classmethod
    def of(cls, stream: Stream, seed: int) -> Trial:
        generator = np.random.default_rng(seed)
        learned = np.flatnonzero((stream.day >= WARM_DAYS) & (stream.day < MIDDLE_DAY))
        reference = stream.sample.take(np.sort(generator.choice(learned, REFERENCE_ROWS, replace=False)))
        later = np.flatnonzero(stream.day >= MIDDLE_DAY)
        return cls(stream, reference, Bootstrap(stream.sample.take(later), stream.day[later]), generator)

    def alarms(self, what: str, windows: Iterable[Sample], wanted: Sequence[Quantity] = WANTED) -> int:
        """Windows that count as drift; each is told on standard error."""
        count = 0
        for window in windows:
            drifted = compare(self.reference, window, wanted).drifted
            count += bool(drifted)
            if drifted:
                print(f"{what}: {[(one.name, round(one.effect, 3)) for one in drifted]}", file=sys.stderr)
        return count

    def without_drift(self, table: Table) -> None:
        each = WINDOWS // len(SIZES)
        total = 0
        for size in SIZES:
            drawn = (self.windows.window(size, self.generator) for _ in range(each))
            count = self.alarms(f"{size} rows", drawn)
            total += count
            table.line(f"no drift, {size:,} rows", count, each)
        table.line("no drift, all sizes", total, each * len(SIZES), most=0.02)
        days = [self.stream.sample.take(self.stream.day == day) for day in range(DAYS - 1)]
        own, filling = days[MIDDLE_DAY:], days[:WARM_DAYS]
        table.line("no drift, the stream's own days", self.alarms("own days", own), len(own), most=0.02)
        count = self.alarms("merchant risk", own, RISKS)
        table.line("no drift, own days, if the values of merchant risk were compared (they are not)", count, len(own))
        count = self.alarms("first days", filling)
        table.line("no drift, first days, features still filling up", count, len(filling), most=0.02)

    def with_shifts(self, table: Table, repeats: int) -> None:
        for size in SHIFTED_SIZES:
            found = {one.name: self._found(one, size, repeats) for one in WANTED}
            for name, count in found.items():
                if count < repeats:
                    print(f"{size} rows: {name} found {count} of {repeats} times", file=sys.stderr)
            for measure, what in SHIFTS.items():
                kind = [one.name for one in WANTED if one.measure is measure]
                count = sum(found[name] for name in kind)
                table.line(f"{what} {len(kind)}, {size:,} rows", count, repeats * len(kind), least=0.95)

    def _found(self, quantity: Quantity, size: int, repeats: int) -> int:
        count = 0
        for _ in range(repeats):
            window = shifted(self.windows.window(size, self.generator), quantity, self.generator)
            # Alone, at the bound that it has among all of them.
            found = compare(self.reference, window, [quantity], error_rate=ERROR_RATE / len(WANTED))
            count += bool(found.drifted)
        return count


def verify(seed: int, repeats: int) -> bool:
    started = time.monotonic()
    stream = simulate(seed)
    print(f"simulated {len(stream.sample)} transactions in {time.monotonic() - started:.0f} s", file=sys.stderr)
    trial, table = Trial.of(stream, seed), Table()
    trial.without_drift(table)
    trial.with_shifts(table, repeats)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return table.held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20, help="windows per shifted quantity and size")
    options = parser.parse_args()
    return 0 if verify(options.seed, options.repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
