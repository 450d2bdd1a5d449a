"""Features of the decisions against those of the history engine for the same transactions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shared.features.catalogue import CATALOGUE, Catalogue, Entity
from shared.features.history import HistoryFeatures
from shared.replay.journal import Journal, Row

_MEMORY_LIMIT = "1GB"
_BATCH_ROWS = 16_384
_EXAMPLES = 10
_COMPARED = Catalogue(
    tuple(feature for feature in CATALOGUE if feature.entity is not Entity.MERCHANT), CATALOGUE.settings
)


@dataclass
class Verification:
    """What the comparison of the features of transactions and cards found.

    Attributes:
        decisions: Decisions looked at.
        degraded: Those made without the card's history: their features are null by design and are not compared.
        mismatches: Feature values that differ.
        by_feature: Mismatches by feature.
        examples: The first few, with both values.
    """

    decisions: int = 0
    degraded: int = 0
    mismatches: int = 0
    by_feature: Counter[str] = field(default_factory=Counter)
    examples: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every decision had the features of the history engine."""
        return not self.mismatches and not self.degraded

    def __str__(self) -> str:
        text = f"{self.decisions:,} decisions, {self.mismatches:,} mismatches"
        return text + (f", {self.degraded:,} degraded and not compared" if self.degraded else "")


def verify(table: Path, journal: Journal, workspace: Path) -> Verification:
    """Recompute the features of the decided transactions and compare: whole numbers equal, others within 1 ulp.

    They agree when the system knew nothing else of these cards, or only these same transactions. Features of merchants
    are not compared: a merchant is known from all cards and from labels that are not in the file, and cards are
    replayed side by side, so its state at a decision cannot be told from the file.

    Args:
        table: The transactions in the order they were sent (`shared.tabular.ingest.SCHEMA`).
        journal: What became of them.
        workspace: Folder for the history engine's files.
    """
    decided = _without_refused(table, journal, workspace)
    features = workspace / "features.parquet"
    HistoryFeatures(_COMPARED, memory_limit=_MEMORY_LIMIT, spill_folder=workspace / "spill").write(decided, features)
    found = Verification()
    for row, expected in zip(journal.rows(), _rows(features), strict=True):
        found.decisions += 1
        if row["degraded"]:
            found.degraded += 1
            continue
        for name in _COMPARED.names:
            online, history = row.get(f"f_{name}"), expected[name]
            if not _equal(online, history):
                _note(found, row["transaction_id"], name, online, history)
    return found


def _without_refused(table: Path, journal: Journal, workspace: Path) -> Path:
    """Return the table of what was decided: a refused transaction is in nobody's history."""
    kept = [row is not None for row in journal.outcomes()]
    if all(kept):
        return table
    target = workspace / "decided.parquet"
    position = 0
    with pq.ParquetFile(table) as source, pq.ParquetWriter(target, source.schema_arrow) as writer:
        for batch in source.iter_batches(_BATCH_ROWS):
            writer.write_batch(batch.filter(pa.array(kept[position : position + batch.num_rows])))
            position += batch.num_rows
    return target


def _rows(file: Path) -> Iterator[Row]:
    with pq.ParquetFile(file) as features:
        for batch in features.iter_batches(_BATCH_ROWS):
            yield from batch.to_pylist()


def _equal(online: float | None, history: float | None) -> bool:
    if online is None or history is None:
        return online is history
    if isinstance(online, int) and isinstance(history, int):
        return online == history
    return abs(online - history) <= math.ulp(max(abs(online), abs(history)))


def _note(found: Verification, transaction_id: str, name: str, online: float | None, history: float | None) -> None:
    found.mismatches += 1
    found.by_feature[name] += 1
    if len(found.examples) < _EXAMPLES:
        example = {"transaction_id": transaction_id, "feature": name, "online": online, "history": history}
        found.examples.append(example)
