"""Examples out of a simulated history: what there is to learn from on the first day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from functions.train.dataset import Examples
from functions.train.labels import LabelHistory
from functions.train.parity import sampled_mismatches
from functions.train.rows import DAY_MS, Rows, numbered
from functions.train.stages import stage
from functions.train.vectors import matrix_of
from shared.contracts.event_time import to_rfc3339
from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.history import HistoryFeatures
from shared.simulation.history import generate_history

HISTORY_START_MS = 1_756_684_800_000
"""Event time at which simulated histories begin, 2025-09-01 UTC: fixed, so that a seed gives the same model any day."""

LABEL_DELAY_DAYS = (2.0, 14.0)

_NOT_FEATURE_INPUT = ("is_fraud", "pattern", "label_time_ms", "duplicate_ms", "arrival_ms")

History = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SimulatedHistory:
    """A labelled history by the traffic simulation, seen when its last label has arrived.

    Attributes:
        seed: Of the simulation.
        transactions: Number of transactions.
        days: Length in days of event time; more than the label delay.
        threads: For the feature engine; 0 is one per processor.
        traffic: Fields of `shared.simulation.config.SimulationConfig` that are set.
        catalogue: The features to compute.
    """

    seed: int
    transactions: int
    days: float
    threads: int
    traffic: Mapping[str, Any] = field(default_factory=lambda: {"label_delay_days": LABEL_DELAY_DAYS})
    catalogue: Catalogue = CATALOGUE

    def examples(self) -> Examples:
        """Simulate, and compute the features."""
        with stage("simulate the history", transactions=self.transactions, days=self.days, seed=self.seed):
            history = generate_history(
                self.transactions,
                self.days,
                start_ms=HISTORY_START_MS,
                seed=self.seed,
                settings=self.traffic,
            )
        table = history_table(history)
        with stage("compute the features", features=len(self.catalogue)):
            engine = HistoryFeatures(self.catalogue, threads=self.threads or None)
            answers = engine.table(table, label_table(history))
            features = matrix_of(answers, self.catalogue.names)
        end_ms = HISTORY_START_MS + int(self.days * DAY_MS)
        source = (
            f"simulation, seed {self.seed}: {self.transactions} transactions, "
            f"{to_rfc3339(HISTORY_START_MS)[:10]} to {to_rfc3339(end_ms)[:10]}"
        )
        horizon_ms = int(self.traffic["label_delay_days"][1] * DAY_MS)
        return Examples(
            names=self.catalogue.names,
            catalogue=self.catalogue,
            rows=history_rows(history, features),
            labels=history_labels(history, horizon_ms),
            cut_ms=end_ms + horizon_ms,
            start_ms=HISTORY_START_MS,
            end_ms=end_ms,
            source=source,
            count_mismatches=lambda: sampled_mismatches(table, features, self.catalogue),
        )


def history_table(history: History) -> pa.Table:
    """Return what the feature engine reads of a history of `generate_history`."""
    columns = {
        name: pa.array(values, from_pandas=True)  # NaN is unknown
        for name, values in history.items()
        if name not in _NOT_FEATURE_INPUT
    }
    columns["arrival"] = pa.array(history["arrival_ms"])
    return pa.table(columns)


def label_table(history: History) -> pa.Table:
    """Return the labels of a history as the feature engine reads them."""
    labelled = history["label_time_ms"] >= 0
    names = ("transaction_id", "card_id", "merchant_id", "event_time_ms", "is_fraud", "label_time_ms")
    columns = {name: pa.array(history[name][labelled]) for name in names}
    return pa.table({**columns, "arrival": columns["label_time_ms"]})


def history_rows(history: History, features: npt.NDArray[np.float32]) -> Rows:
    """Return the transactions of a history with their features and final labels."""
    count = len(history["event_time_ms"])
    return Rows(
        row_id=np.arange(count),
        features=features,
        is_fraud=history["is_fraud"],
        card=numbered(history["card_id"]),
        pattern=history["pattern"],
        event_time_ms=history["event_time_ms"],
        amount_minor=history["amount_minor"],
        weight=np.ones(count),
    )


def history_labels(history: History, horizon_ms: int) -> LabelHistory:
    """Return the labels of a history: of frauds alone, each when it arrives."""
    labelled = np.flatnonzero(history["label_time_ms"] >= 0)
    return LabelHistory(
        event_time_ms=history["event_time_ms"],
        row=labelled,
        label_time_ms=history["label_time_ms"][labelled],
        is_fraud=history["is_fraud"][labelled],
        horizon_ms=horizon_ms,
        silent=np.zeros(len(history["event_time_ms"]), bool),
    )
