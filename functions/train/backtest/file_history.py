"""Examples out of a file of labelled transactions, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from functions.train.dataset import Examples
from functions.train.errors import NotEnoughData
from functions.train.labels import LabelHistory
from functions.train.parity import SAMPLED_ROWS, sampled_mismatches
from functions.train.rows import DAY_MS, Rows, numbered
from functions.train.stages import stage
from functions.train.vectors import matrix_of
from shared.contracts.event_time import to_rfc3339
from shared.features.catalogue import CATALOGUE, Catalogue, Feature, Kind
from shared.features.history import HistoryFeatures

MOST_ROWS = 2_000_000
"""More rows than this are not held in memory: whole cards are drawn, evenly."""
_BUCKETS = 10_000
_MEMORY_LIMIT = "2GB"
_READ_BY_ENGINE = [
    "transaction_id",
    "card_id",
    "amount_minor",
    "merchant_id",
    "merchant_category",
    "city",
    "latitude",
    "longitude",
    "event_time_ms",
]
_OPTIONAL = ("merchant_category", "city", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class FileHistory:
    """A file of transactions as `shared.tabular` reads it.

    Attributes:
        table: Parquet in event-time order, with labels.
        name: Of the file, in words.
        label_delay_ms: When a label without a time of its own became known, after its transaction.
        workspace: Folder for features, and for what does not fit in memory.
        threads: For the feature engine; 0 is one per processor.
    """

    table: Path
    name: str
    label_delay_ms: int
    workspace: Path
    threads: int

    def catalogue(self) -> Catalogue:
        """Return the features that the file's columns allow."""
        filled = self._filled()
        features = tuple(feature for feature in CATALOGUE if not missing_fields(feature, filled))
        return Catalogue(features, self.whole_catalogue().settings)

    def whole_catalogue(self) -> Catalogue:
        """Return the system's features, with the file's label delay in whole days, rounded up."""
        delay_ms = -(-self.label_delay_ms // DAY_MS) * DAY_MS
        return Catalogue(CATALOGUE.features, replace(CATALOGUE.settings, label_delay_ms=delay_ms))

    def dropped(self) -> dict[str, tuple[str, ...]]:
        """Return the features that the file does not allow, each with the fields that are missing."""
        filled = self._filled()
        needs = {feature.name: missing_fields(feature, filled) for feature in CATALOGUE}
        return {name: fields for name, fields in needs.items() if fields}

    def examples(self) -> Examples:
        """Compute the features and load rows with labels, all of them or those of some cards.

        Raises:
            NotEnoughData: No row has a label.
        """
        catalogue = self.catalogue()
        features = self.workspace / "features.parquet"
        with stage("compute the features", features=len(catalogue)):
            engine = HistoryFeatures(
                catalogue,
                threads=self.threads or None,
                memory_limit=_MEMORY_LIMIT,
                spill_folder=self.workspace / "spill",
            )
            engine.write(self.table, features, self._labels())
        with stage("load the rows"):
            loaded, share = self._load(features, catalogue)
        if not len(loaded):
            raise NotEnoughData(f"no transaction of {self.name} has a label")
        time_ms = loaded.column("event_time_ms").to_numpy()
        label_time = loaded.column("label_time_ms").fill_null(-1).to_numpy()
        known_ms = np.where(label_time >= 0, label_time, time_ms + self.label_delay_ms)
        is_fraud = loaded.column("label").to_numpy(zero_copy_only=False).astype(bool)
        count = len(loaded)
        sampled = "" if share == 1 else f", {count} rows of a {share:.0%} sample of the cards"
        first, last = (to_rfc3339(int(moment))[:10] for moment in (time_ms[0], time_ms[-1]))
        return Examples(
            names=catalogue.names,
            # The vector is a part of the system's own: the names say which.
            catalogue=self.whole_catalogue(),
            rows=Rows(
                row_id=loaded.column("file_row").to_numpy(),
                features=matrix_of(loaded, catalogue.names),
                is_fraud=is_fraud,
                card=numbered(loaded.column("card_id").to_numpy(zero_copy_only=False)),
                pattern=np.full(count, None, dtype=object),
                event_time_ms=time_ms,
                amount_minor=loaded.column("amount_minor").to_numpy(),
                weight=np.ones(count),
            ),
            labels=LabelHistory(
                event_time_ms=time_ms,
                row=np.arange(count),
                label_time_ms=known_ms,
                is_fraud=is_fraud,
                horizon_ms=self.label_delay_ms,
                silent=np.ones(count, bool),
            ),
            cut_ms=int(known_ms.max()),
            start_ms=int(time_ms[0]),
            end_ms=int(time_ms[-1]) + 1,
            source=f"file {self.name}: {first} to {last}{sampled}",
            count_mismatches=lambda: self._mismatches(features, catalogue),
        )

    def _mismatches(self, features: Path, catalogue: Catalogue) -> int:
        rows = int(pq.read_metadata(self.table).num_rows)
        some = self._read(features, catalogue, "true", _BUCKETS * 2 * SAMPLED_ROWS // rows + 1)
        return sampled_mismatches(some.select(_READ_BY_ENGINE), matrix_of(some, catalogue.names), catalogue)

    def _labels(self) -> Path:
        """Write the frauds as labels that the engine reads, each with the moment it became known."""
        target = self.workspace / "labels.parquet"
        with duckdb.connect(config=self._config()) as connection:
            frauds = connection.sql(
                "SELECT transaction_id, card_id, merchant_id, event_time_ms, label AS is_fraud, "
                "coalesce(label_time_ms, event_time_ms + $delay) AS label_time_ms "
                "FROM read_parquet($table) WHERE label",
                params={"table": str(self.table), "delay": self.label_delay_ms},
            )
            frauds.write_parquet(str(target))
        return target

    def _config(self) -> dict[str, Any]:
        return {
            "autoinstall_known_extensions": False,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": str(self.workspace / "spill"),
        }

    def _filled(self) -> set[str]:
        with pq.ParquetFile(self.table) as file:
            groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        filled = set()
        for group in groups:
            for index in range(group.num_columns):
                column = group.column(index)
                nulls = column.statistics.null_count if column.statistics else 0
                if nulls < group.num_rows:
                    filled.add(column.path_in_schema)
        return filled

    def _load(self, features: Path, catalogue: Catalogue) -> tuple[pa.Table, float]:
        rows = int(pq.read_metadata(self.table).num_rows)
        buckets = min(_BUCKETS, _BUCKETS * MOST_ROWS // max(rows, 1))
        return self._read(features, catalogue, "t.label IS NOT NULL", buckets), buckets / _BUCKETS

    def _read(self, features: Path, catalogue: Catalogue, wanted: str, buckets: int) -> pa.Table:
        """Return rows of some cards with their features, in event-time order."""
        names = ", ".join(f'f."{name}"' for name in catalogue.names)
        query = f"""
            SELECT t.* EXCLUDE (currency, country, channel), {names}
            FROM read_parquet($table) t POSITIONAL JOIN read_parquet($features) f
            WHERE {wanted} AND md5_number_lower(t.card_id) % {_BUCKETS} < {buckets}
            ORDER BY t.event_time_ms, t.file_row
        """  # noqa: S608 - names of the catalogue, and numbers
        with duckdb.connect(config=self._config()) as connection:
            files = {"table": str(self.table), "features": str(features)}
            return connection.sql(query, params=files).to_arrow_table()


def missing_fields(feature: Feature, filled: set[str]) -> tuple[str, ...]:
    """Return the optional fields that a feature looks at and a file lacks."""
    looked_at = ("latitude", "longitude") if feature.kind is Kind.SPEED else (feature.of,)
    return tuple(name for name in looked_at if name in _OPTIONAL and name not in filled)
