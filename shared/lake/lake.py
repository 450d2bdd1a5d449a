"""Reading the lake's tables, as they are now or as they were at a version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from shared.lake.errors import LakeAway, TableMissing
from shared.lake.schema import DAY, TABLES, TableName
from shared.lake.settings import LakeSettings

if TYPE_CHECKING:
    from pyarrow import dataset as ds

Days: TypeAlias = tuple[date | None, date | None]
"""UTC days of event time, from the first on and before the second; None is open."""


class Lake:
    """The tables of `shared.lake.schema`.

    A version is a number that names the state of one table for ever: reading a table at it gives the same rows in the
    same order, whatever is appended or compacted later, for as long as the settings keep it.

    Args:
        settings: Where the lake is.
    """

    def __init__(self, settings: LakeSettings) -> None:
        self.settings = settings

    @classmethod
    def open(cls, settings: LakeSettings | None = None) -> Lake:
        """The lake of the settings, by default those of the environment. Connects to nothing yet."""
        return cls(settings or LakeSettings())

    def uri(self, name: TableName) -> str:
        """Address of a table."""
        return f"{self.settings.root}/{name}"

    def table(self, name: TableName, version: int | None = None) -> DeltaTable:
        """A table, by default at its latest version.

        Raises:
            TableMissing: There is no such table or version.
            LakeAway: The storage does not answer.
        """
        try:
            return DeltaTable(self.uri(name), version=version, storage_options=self.settings.storage_options())
        except TableNotFoundError as error:
            raise TableMissing(f"nothing has been archived into {name} yet") from error
        except (DeltaError, OSError) as error:
            if version is not None:
                self.table(name)  # raises when it is not the version that is missing
                raise TableMissing(f"{name} has no version {version} (any more)") from error
            raise LakeAway(f"the lake does not answer: {error}") from error

    def version(self, name: TableName) -> int:
        """The latest version of a table.

        Raises:
            TableMissing: There is no such table.
            LakeAway: The storage does not answer.
        """
        return int(self.table(name).version())

    def complete_since(self, name: TableName) -> datetime | None:
        """The moment from which on a table has everything that was published; None: it has from the beginning.

        Raises:
            TableMissing: There is no such table.
            LakeAway: The storage does not answer.
        """
        hole = self.table(name).transaction_version(TABLES[name].hole_id)
        return None if hole is None else datetime.fromtimestamp(hole / 1000, UTC)

    def files(self, name: TableName, days: Days | None = None, version: int | None = None) -> list[str]:
        """Paths of a table's Parquet files for `filesystem`, in an order that the version fixes.

        The column `day` is not in them but in their paths (``day=2026-01-15/``).

        Raises:
            TableMissing: There is no such table or version.
            LakeAway: The storage does not answer.
        """
        return self._files(self.table(name, version), name, days)

    def dataset(self, name: TableName, days: Days | None = None, version: int | None = None) -> ds.Dataset:
        """A table as an Arrow dataset, which DuckDB queries as it is (`duckdb.from_arrow`).

        Raises:
            TableMissing: There is no such table or version.
            LakeAway: The storage does not answer.
        """
        from pyarrow import dataset as ds  # noqa: PLC0415 - 50 MB and 0.8 s that a writer has no use for

        table = self.table(name, version)
        schema = pa.schema(table.schema().to_arrow())
        return ds.dataset(
            self._files(table, name, days),
            schema=schema,
            format="parquet",
            filesystem=self.filesystem,
            partitioning=ds.partitioning(pa.schema([schema.field(DAY)]), flavor="hive"),
        )

    def read(
        self,
        name: TableName,
        columns: Sequence[str] | None = None,
        days: Days | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Rows of a table in memory.

        Args:
            name: The table.
            columns: Columns to read; all when None.
            days: Days of event time to read; all when None.
            version: Version to read; the latest when None.

        Raises:
            TableMissing: There is no such table or version.
            LakeAway: The storage does not answer.
        """
        try:
            return self.batches(name, columns, days, version).read_all()
        except OSError as error:
            raise LakeAway(f"the lake does not answer: {error}") from error

    def batches(
        self,
        name: TableName,
        columns: Sequence[str] | None = None,
        days: Days | None = None,
        version: int | None = None,
    ) -> pa.RecordBatchReader:
        """The same batch by batch, for what does not fit into memory; a storage that goes away raises `OSError`."""
        found = self.dataset(name, days, version)
        names = None if columns is None else list(columns)
        return found.scanner(columns=names, batch_readahead=2, fragment_readahead=1).to_reader()

    @property
    def filesystem(self) -> fs.S3FileSystem:
        """The file system that the paths of `files` belong to."""
        settings = self.settings
        options: dict[str, str] = {"region": settings.aws_region}
        if settings.aws_endpoint_url is not None:
            options["scheme"], _, options["endpoint_override"] = settings.aws_endpoint_url.partition("://")
        if (keys := settings.keys()) is not None:
            names = ("access_key", "secret_key", "session_token")
            options |= {name: key for name, key in zip(names, keys, strict=True) if key is not None}
        return fs.S3FileSystem(**options)

    def _files(self, table: DeltaTable, name: TableName, days: Days | None) -> list[str]:
        actions = table.get_add_actions(flatten=True)
        found = zip(actions["path"].to_pylist(), actions[f"partition.{DAY}"].to_pylist(), strict=True)
        first, until = days or (None, None)
        root = self.uri(name).removeprefix("s3://")
        return sorted(
            f"{root}/{path}"
            for path, day in found
            if (first is None or day >= first) and (until is None or day < until)
        )
