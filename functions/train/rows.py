"""Transactions with features and labels: what a model learns from and is judged on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.scoring.predictor import Matrix

DAY_MS = 86_400_000

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions in event-time order; all arrays have n rows.

    Attributes:
        row_id: Number of each row in its source: no two rows of a source share one.
        features: float32 [n, f], NaN is missing.
        is_fraud: Labels.
        card: Card numbers from 0 on: the clusters of a bootstrap.
        pattern: Name of the fraud pattern, None where it is unknown or there is none.
        event_time_ms: UTC milliseconds.
        amount_minor: Amounts in minor units.
        weight: How many transactions a row stands for: the inverse of its chance to be seen.
    """

    row_id: Ints
    features: Matrix
    is_fraud: Bools
    card: Ints
    pattern: npt.NDArray[np.object_]
    event_time_ms: Ints
    amount_minor: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.is_fraud)

    @property
    def frauds(self) -> int:
        """Number of frauds."""
        return int(self.is_fraud.sum())

    def take(self, wanted: npt.NDArray[Any]) -> Rows:
        """Return some of the rows, by mask or by index."""
        return Rows(*(np.ascontiguousarray(getattr(self, column.name)[wanted]) for column in fields(self)))

    def followed_by(self, others: Rows) -> Rows:
        """Return these rows and then the others, of the same source."""
        return Rows(
            *(np.concatenate([getattr(part, column.name) for part in (self, others)]) for column in fields(self))
        )

    def digest(self, *also: str) -> str:
        """Return the SHA-256 over all rows, patterns aside, and over some texts."""
        digest = hashlib.sha256("\x00".join(also).encode())
        columns = (self.row_id, self.features, self.is_fraud, self.card, self.event_time_ms, self.amount_minor)
        for column in (*columns, self.weight):
            digest.update(np.ascontiguousarray(column).view(np.uint8).data)
        return digest.hexdigest()


def numbered(texts: npt.NDArray[Any]) -> Ints:
    """Return a number from 0 on for each distinct text."""
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)
