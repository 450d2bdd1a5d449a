"""Labelled rows to learn from: a simulated history, its features, and a split by time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from functions.train.stages import stage
from shared.contracts.event_time import to_rfc3339
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.history import HistoryFeatures
from shared.features.history.merchants import LABEL_COLUMNS
from shared.scoring.predictor import Matrix
from shared.simulation.history import generate_history

DAY_MS = 86_400_000
HISTORY_START_MS = 1_756_684_800_000
"""Event time at which simulated histories begin, 2025-09-01 UTC: fixed, so that a seed gives the same model any day."""

LONGEST_LABEL_DELAY_DAYS = 14.0
TRAIN_SHARE = 0.5
STOPPING_SHARE = 0.2
POLICY_SHARE = 0.3

_NOT_FEATURE_INPUT = ("is_fraud", "pattern", "label_time_ms", "duplicate_ms", "arrival_ms")


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions with features and labels, in event-time order; all arrays have n rows.

    Attributes:
        features: float32 [n, f], NaN is missing.
        is_fraud: Labels.
        card: Card numbers from 0 on: the clusters of a bootstrap.
        pattern: Name of the fraud pattern, None for genuine ones.
        event_time_ms: UTC milliseconds.
    """

    features: Matrix
    is_fraud: npt.NDArray[np.bool_]
    card: npt.NDArray[np.int64]
    pattern: npt.NDArray[np.object_]
    event_time_ms: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.is_fraud)

    def take(self, wanted: npt.NDArray[Any]) -> Rows:
        """Return some of the rows, by mask or by index."""
        return Rows(
            np.ascontiguousarray(self.features[wanted]),
            self.is_fraud[wanted],
            self.card[wanted],
            self.pattern[wanted],
            self.event_time_ms[wanted],
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows for each purpose, apart in time and in this order; no row serves two purposes.

    Attributes:
        names: Features, in vector order.
        catalogue: The catalogue they come from.
        train: What the trees learn from.
        stopping: Says when to stop adding trees; begins a label delay after the training rows end.
        policy: Thresholds are chosen on these.
        test: Judged once, at the end.
        label: Where the rows come from, in words.
        digest: SHA-256 over all rows.
    """

    names: tuple[str, ...]
    catalogue: Catalogue
    train: Rows
    stopping: Rows
    policy: Rows
    test: Rows
    label: str
    digest: str


def simulated_dataset(
    *, seed: int, transactions: int, days: float, threads: int, catalogue: Catalogue = CATALOGUE
) -> Dataset:
    """Simulate a labelled history and split it by time.

    Args:
        seed: Of the simulation.
        transactions: Number of transactions.
        days: Length in days of event time; more than the label delay.
        threads: For the feature engine; 0 is one per processor.
        catalogue: The features to compute.
    """
    with stage("simulate the history", transactions=transactions, days=days, seed=seed):
        history = generate_history(
            transactions,
            days,
            start_ms=HISTORY_START_MS,
            seed=seed,
            settings={"label_delay_days": (2.0, LONGEST_LABEL_DELAY_DAYS)},
        )
    with stage("compute the features", features=len(catalogue)):
        features = _features(history, catalogue, threads)
    end_ms = HISTORY_START_MS + int(days * DAY_MS)
    label = (
        f"simulation, seed {seed}: {transactions} transactions, "
        f"{to_rfc3339(HISTORY_START_MS)[:10]} to {to_rfc3339(end_ms)[:10]}"
    )
    return split_by_time(history, features, end_ms, catalogue, label)


def _features(history: dict[str, npt.NDArray[Any]], catalogue: Catalogue, threads: int) -> Matrix:
    columns = {
        name: pa.array(values, from_pandas=True)  # NaN is unknown
        for name, values in history.items()
        if name not in _NOT_FEATURE_INPUT
    }
    columns["arrival"] = pa.array(history["arrival_ms"])
    table = HistoryFeatures(catalogue, threads=threads or None).table(pa.table(columns), _labels(history))
    matrix = np.empty((len(table), len(catalogue)), np.float32)
    for index, name in enumerate(catalogue.names):
        matrix[:, index] = table.column(name).to_numpy(zero_copy_only=False)
    return matrix


def _labels(history: dict[str, npt.NDArray[Any]]) -> pa.Table:
    """The labels of a history, as they reach the system: a feature sees those that were known at its event time."""
    labelled = np.flatnonzero(history["label_time_ms"] >= 0)
    columns = {name: pa.array(history[name][labelled]) for name in LABEL_COLUMNS}
    return pa.table({**columns, "arrival": columns["label_time_ms"]})


def split_by_time(
    history: dict[str, npt.NDArray[Any]], features: Matrix, end_ms: int, catalogue: Catalogue, label: str
) -> Dataset:
    """Split a labelled history into training, stopping, policy and test rows.

    Training rows are followed by a gap of the longest label delay: at the end of the gap, when learning would have
    begun, the labels of all training rows were known. Later labels are taken as they came out in the end.

    Args:
        history: Columns of `generate_history`.
        features: float32 [n, f] for its rows.
        end_ms: End of the history, UTC milliseconds.
        catalogue: Where the features come from.
        label: Where the rows come from, in words.
    """
    time_ms = history["event_time_ms"]
    start_ms = HISTORY_START_MS
    train_end = start_ms + int(TRAIN_SHARE * (end_ms - start_ms))
    cut = train_end + int(LONGEST_LABEL_DELAY_DAYS * DAY_MS)
    stopping_end = cut + int(STOPPING_SHARE * (end_ms - cut))
    policy_end = stopping_end + int(POLICY_SHARE * (end_ms - cut))
    known = (history["label_time_ms"] >= 0) & (history["label_time_ms"] <= cut)
    every = Rows(
        features,
        np.where(time_ms < train_end, known & history["is_fraud"], history["is_fraud"]),
        np.unique(history["card_id"], return_inverse=True)[1].astype(np.int64),
        history["pattern"],
        time_ms,
    )

    def between(first_ms: int, last_ms: int) -> Rows:
        return every.take((time_ms >= first_ms) & (time_ms < last_ms))

    return Dataset(
        names=catalogue.names,
        catalogue=catalogue,
        train=between(start_ms, train_end),
        stopping=between(cut, stopping_end),
        policy=between(stopping_end, policy_end),
        test=between(policy_end, end_ms),
        label=label,
        digest=_digest(every, catalogue),
    )


def _digest(rows: Rows, catalogue: Catalogue) -> str:
    digest = hashlib.sha256(catalogue.version.encode())
    for column in (rows.features, rows.is_fraud, rows.card, rows.event_time_ms):
        digest.update(np.ascontiguousarray(column).view(np.uint8).data)
    return digest.hexdigest()
