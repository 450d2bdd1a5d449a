"""Examples out of the lake: the logged vectors of real decisions, with the labels known at the cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any, Literal, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from functions.train.control import fair_sample
from functions.train.dataset import Examples
from functions.train.errors import NotEnoughData
from functions.train.labels import LabelHistory
from functions.train.logged import LoggedVectors
from functions.train.rows import Rows, numbered
from functions.train.stages import stage
from shared.contracts.event_time import to_rfc3339
from shared.features.catalogue import CATALOGUE, Catalogue

TableName = Literal["transactions", "decisions", "labels"]
TABLES: tuple[TableName, ...] = ("transactions", "decisions", "labels")


CompareDecisions = Callable[[datetime, datetime], int]


class Lake(Protocol):
    """What is needed of `shared.lake.lake.Lake`."""

    def version(self, name: TableName) -> int:
        """Return the latest version of a table."""

    def dataset(
        self, name: TableName, days: tuple[date | None, date | None] | None = None, version: int | None = None
    ) -> Any:
        """Return a table as an Arrow dataset."""


@dataclass(frozen=True, slots=True)
class LakeHistory:
    """Real decisions, as the lake had them at a cut.

    A dataset is named by the tables' versions and the cut: the same ones give the same rows, bit for bit. Decisions
    made without the card's history, and those of a transaction id that came back with other content, are left out; of
    a transaction that was decided several times the first decision counts.

    Attributes:
        lake: The tables.
        horizon_ms: How long after a transaction the absence of a label means that it was genuine.
        lookback_ms: How far back from the cut to look.
        cut_ms: What became known later is invisible. None is the newest event or label that there is: traffic may be
            replayed from the past, whose labels have not arrived yet.
        versions: Versions of the tables; the latest of each that is not named.
        count_mismatches: Compares logged vectors with the history engine's, of decisions made from one moment on and
            before another.
        catalogue: The features to have.
    """

    lake: Lake
    horizon_ms: int
    lookback_ms: int
    count_mismatches: CompareDecisions
    cut_ms: int | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    catalogue: Catalogue = CATALOGUE

    def examples(self) -> Examples:
        """Read decisions and labels, and fill what the log lacks.

        Raises:
            NotEnoughData: There is no decision before the cut.
        """
        versions: dict[str, int] = {name: self.versions.get(name, self.lake.version(name)) for name in TABLES}
        with stage("read the lake", versions=versions), self._tables(versions) as connection:
            cut_ms = self._cut(connection)
            decisions, weight, silent = fair_sample(self._decisions(connection, cut_ms))
            if not len(decisions):
                raise NotEnoughData(f"the lake has no decision to learn from before {to_rfc3339(cut_ms)}")
            labels = _labels(connection, decisions, cut_ms)
        logged = LoggedVectors(decisions, self.catalogue, lambda: self._known(decisions, versions, cut_ms))
        with stage("fill what the log lacks"):
            features = logged.complete()
        time_ms = decisions.column("event_time_ms").to_numpy()
        labelled = labels.column("row").to_numpy()
        pattern = np.full(len(decisions), None, dtype=object)
        pattern[labelled] = labels.column("pattern").to_numpy(zero_copy_only=False)
        history = LabelHistory(
            event_time_ms=time_ms,
            row=labelled,
            label_time_ms=labels.column("label_time_ms").to_numpy(),
            is_fraud=labels.column("is_fraud").to_numpy(zero_copy_only=False),
            horizon_ms=self.horizon_ms,
            silent=silent,
        )
        return Examples(
            names=self.catalogue.names,
            catalogue=self.catalogue,
            rows=Rows(
                row_id=np.arange(len(decisions)),
                features=features,
                is_fraud=history.at(cut_ms)[0],
                card=numbered(decisions.column("card_id").to_numpy(zero_copy_only=False)),
                pattern=pattern,
                event_time_ms=time_ms,
                amount_minor=decisions.column("amount_minor").to_numpy(),
                weight=weight,
            ),
            labels=history,
            cut_ms=cut_ms,
            start_ms=int(time_ms[0]),
            end_ms=cut_ms - self.horizon_ms + 1,
            source=(
                f"lake: {len(decisions)} decisions, {to_rfc3339(int(time_ms[0]))[:10]} to "
                f"{to_rfc3339(int(time_ms[-1]))[:10]}, known at {to_rfc3339(cut_ms)}"
            ),
            count_mismatches=lambda: self.count_mismatches(*_span(decisions)),
            versions=versions,
        )

    @contextmanager
    def _tables(self, versions: Mapping[str, int]) -> Iterator[duckdb.DuckDBPyConnection]:
        config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        with duckdb.connect(config=config) as connection:
            for name in TABLES:
                connection.register(name, self.lake.dataset(name, version=versions[name]))
            yield connection

    def _cut(self, connection: duckdb.DuckDBPyConnection) -> int:
        if self.cut_ms is not None:
            return self.cut_ms
        [(newest,)] = connection.execute(
            "SELECT max(moment) FROM (SELECT max(event_time_ms) AS moment FROM decisions "
            "UNION ALL SELECT max(label_time_ms) FROM labels)"
        ).fetchall()
        if newest is None:
            raise NotEnoughData("the lake is empty")
        return int(newest)

    def _decisions(self, connection: duckdb.DuckDBPyConnection, cut_ms: int) -> pa.Table:
        bounds = {"first_ms": cut_ms - self.lookback_ms, "cut_ms": cut_ms}
        return connection.sql(_query("decisions"), params=bounds).to_arrow_table()

    def _known(self, decisions: pa.Table, versions: Mapping[str, int], cut_ms: int) -> tuple[pa.Table, pa.Table]:
        """Return the transactions and labels that the feature engine may know."""
        cut = {"cut_ms": cut_ms}
        with self._tables(versions) as connection:
            _register_rows(connection, decisions)
            transactions = connection.sql(_query("transactions"), params=cut).to_arrow_table()
            return transactions, connection.sql(_query("known_labels"), params=cut).to_arrow_table()


def _labels(connection: duckdb.DuckDBPyConnection, decisions: pa.Table, cut_ms: int) -> pa.Table:
    _register_rows(connection, decisions)
    return connection.sql(_query("labels"), params={"cut_ms": cut_ms}).to_arrow_table()


def _register_rows(connection: duckdb.DuckDBPyConnection, decisions: pa.Table) -> None:
    connection.register("rows", decisions.append_column("row", pa.array(np.arange(len(decisions)))))


def _query(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text()


def _span(decisions: pa.Table) -> tuple[datetime, datetime]:
    """Return from when on, and before when, the decisions were made."""
    made = pc.min_max(decisions.column("arrival")).as_py()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + timedelta(microseconds=made["min"]), epoch + timedelta(microseconds=made["max"] + 1)
