"""Features of whole files and tables, in memory bounds of DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import duckdb
import pyarrow as pa

from shared.features.catalogue import CATALOGUE, Catalogue
from shared.features.history import sql
from shared.features.history.finish import features
from shared.features.history.merchants import LABEL_COLUMNS, NO_LABELS, merchants
from shared.features.history.versions import first_versions
from shared.features.plan import merchant_windows

Source: TypeAlias = pa.Table | str | Path | Sequence[str | Path]
"""An Arrow table, or one or several Parquet files (globs allowed)."""

_COUNT_NULLS = """
SELECT count(*) FROM raw WHERE t IS NULL OR a IS NULL OR card_id IS NULL OR transaction_id IS NULL
"""
_COUNT_NULL_LABELS = """
SELECT count(*) FROM labels WHERE transaction_id IS NULL OR card_id IS NULL OR merchant_id IS NULL
  OR event_time_ms IS NULL OR is_fraud IS NULL OR label_time_ms IS NULL
"""
_REQUIRED = {"transaction_id", "card_id", "event_time_ms", "amount_minor"}
_ROWS_PER_PART = 2_000_000

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many of how many rows have been worked through."""


def _untold(_done: int, _total: int) -> None:
    """Nobody wants to know."""


class HistoryFeatures:
    """What the online engine would have answered at each transaction of a history.

    Columns of the input are named as the fields of a transaction, with `amount_minor` (BIGINT, minor units) and
    `event_time_ms` (BIGINT, UTC milliseconds) instead of amount and timestamp. Required are these two, `transaction_id`
    and `card_id`; a column that is absent is unknown in every row. A column `arrival` (any type that can be ordered),
    where there is one, gives the order in which transactions became known; without it that is the order of event times.
    Ties are broken by the order of the rows.

    The output has one row per input row, in input order: `transaction_id`, `card_id`, `status` ("new", "seen",
    "conflict", "too_late": what the online engine would have said), and the features under their names. A row that
    repeats an id its card remembers gives what reading the first version again would have given at that moment: its
    windows end at the first version's time and hold all that had become known by then.

    Labels are a second input with the columns `transaction_id`, `card_id`, `merchant_id`, `event_time_ms`, `is_fraud`
    (BOOLEAN) and `label_time_ms`. A label is known from its label time on and, where both inputs have a column
    `arrival` (of one type), to transactions that arrive after it. Merchants know what the input holds of them alone.

    Args:
        catalogue: The features to compute.
        threads: Threads to use; all processors when None.
        memory_limit: What DuckDB may hold before it spills to disk, such as "2GB"; its default (80 %) when None.
        spill_folder: Where it spills.
        progress: Is told how many rows are done, of how many, after every part of the cards.
    """

    def __init__(
        self,
        catalogue: Catalogue = CATALOGUE,
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        spill_folder: Path | None = None,
        progress: Progress = _untold,
    ) -> None:
        self.catalogue = catalogue
        self._progress = progress
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads is not None:
            self._config["threads"] = threads
        if memory_limit is not None:
            self._config["memory_limit"] = memory_limit
        if spill_folder is not None:
            self._config["temp_directory"] = str(spill_folder)

    def table(self, source: Source, labels: Source | None = None) -> pa.Table:
        """The features as an Arrow table.

        Raises:
            ValueError: A required column is missing or holds a null.
        """
        with duckdb.connect(config=self._config) as connection:
            return self._answer(connection, source, labels).to_arrow_table()

    def write(self, source: Source, target: Path, labels: Source | None = None) -> int:
        """Write the features to a Parquet file and return the number of rows.

        Raises:
            ValueError: A required column is missing or holds a null.
        """
        with duckdb.connect(config=self._config) as connection:
            self._answer(connection, source, labels).write_parquet(str(target), compression="zstd")
            return int(_one(connection, "SELECT count(*) FROM arrivals"))

    def _answer(
        self, connection: duckdb.DuckDBPyConnection, source: Source, labels: Source | None
    ) -> duckdb.DuckDBPyRelation:
        """Compute all answers on the connection."""
        relation = _relation(connection, source)
        _check(relation, _REQUIRED, "the history")
        relation.create_view("input")
        connection.execute(sql.setup())
        connection.execute(sql.arrivals(relation.columns, self.catalogue))
        if _one(connection, _COUNT_NULLS):
            raise ValueError(f"none of {', '.join(sorted(_REQUIRED))} may be null")
        connection.execute(sql.versions())
        self._mend_forgetful_cards(connection)
        largest = _one(connection, "SELECT coalesce(max(a), 0) FROM arrivals")
        self._answer_in_parts(connection, largest)
        connection.execute(sql.answers(self.catalogue, largest))
        if merchant_windows(self.catalogue):
            label_columns = _take_labels(connection, labels)
            connection.execute(merchants(relation.columns, label_columns, self.catalogue))
        return connection.sql(features(self.catalogue))

    def _answer_in_parts(self, connection: duckdb.DuckDBPyConnection, largest: int) -> None:
        """Compute the windows of some cards after the others, so that memory does not grow with the history."""
        rows = _one(connection, "SELECT count(*) FROM arrivals")
        parts = max(1, -(-rows // _ROWS_PER_PART))
        for part in range(parts):
            connection.execute(sql.windowed(self.catalogue, largest, part, parts))
            self._progress(rows * (part + 1) // parts, rows)

    def _mend_forgetful_cards(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Judge the rows of cards to which a forgotten id came back one after the other."""
        arrivals = connection.execute(
            "SELECT row, card, transaction_id, t FROM (SELECT row, card, seq, t FROM arrivals SEMI JOIN forgetful "
            "USING (card)) JOIN (SELECT row, transaction_id FROM raw) USING (row) ORDER BY card, seq"
        ).fetchall()
        if not arrivals:
            return
        rows, firsts = zip(*first_versions(arrivals), strict=True)
        connection.register("mended", pa.table({"row": rows, "first": firsts}))
        connection.execute("DELETE FROM repeated WHERE row IN (SELECT row FROM mended)")
        connection.execute("INSERT INTO repeated SELECT row, first FROM mended")
        connection.execute(sql.versions())


def _relation(connection: duckdb.DuckDBPyConnection, source: Source) -> duckdb.DuckDBPyRelation:
    if isinstance(source, pa.Table):
        return connection.from_arrow(source)
    if isinstance(source, str | Path):
        return connection.read_parquet(str(source))
    return connection.read_parquet([str(path) for path in source])


def _take_labels(connection: duckdb.DuckDBPyConnection, labels: Source | None) -> list[str]:
    """Make the view `labels` and return its columns."""
    if labels is None:
        connection.execute(NO_LABELS)
        return list(LABEL_COLUMNS)
    relation = _relation(connection, labels)
    _check(relation, set(LABEL_COLUMNS), "the labels")
    relation.create_view("labels")
    if _one(connection, _COUNT_NULL_LABELS):
        raise ValueError(f"none of a label's {', '.join(LABEL_COLUMNS)} may be null")
    return relation.columns


def _check(relation: duckdb.DuckDBPyRelation, required: set[str], noun: str) -> None:
    missing = sorted(required - set(relation.columns))
    if missing:
        raise ValueError(f"{noun} lack{'' if noun.endswith('s') else 's'} {', '.join(missing)}")


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])
