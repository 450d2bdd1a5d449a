"""Keeping the tables in order: few files a day, and nothing older than the lake is to remember."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Final

from deltalake import CommitProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError

from functions.archiver.compaction import compact, due_days
from functions.archiver.metrics import FILES_COMPACTED
from shared.lake.errors import LakeAway, TableMissing
from shared.lake.lake import Lake
from shared.lake.schema import DAY, TABLE_NAMES, TableName

_log = logging.getLogger(__name__)
_VACUUM: Final = "upkeep:vacuum"


class Upkeep:
    """Compaction and clearing of all tables.

    Neither changes what a version holds: compaction is a commit of its own that leaves the rows as they are, and files
    are removed only once no version that is to be readable needs them.

    Args:
        lake: Where the tables are.
        most_files: Small files of one day from which on they are made one.
    """

    def __init__(self, lake: Lake, most_files: int) -> None:
        self._lake = lake
        self._most_files = most_files

    def run(self, now: datetime) -> dict[str, int]:
        """Do what is due; returns how many small files were made into larger ones, by table that had any.

        Raises:
            LakeAway: The storage does not answer.
        """
        compacted = {}
        for name in TABLE_NAMES:
            try:
                files = self._compact(name)
                self._clear(name, now.astimezone(UTC).date())
            except TableMissing:
                continue
            except CommitFailedError as error:
                _log.info("upkeep of %s is left for the next run, another writer was faster: %s", name, error)
                continue
            except (DeltaError, OSError) as error:
                raise LakeAway(f"the lake does not answer: {error}") from error
            if files:
                compacted[str(name)] = files
        return compacted

    def _compact(self, name: TableName) -> int:
        removed = 0
        table = self._lake.table(name)
        root = self._lake.uri(name).removeprefix("s3://")
        for day, files in due_days(table, self._most_files).items():
            compact(table, self._lake.filesystem, root, day, files)
            table.update_incremental()
            removed += len(files)
        FILES_COMPACTED.labels(name).inc(removed)
        return removed

    def _clear(self, name: TableName, today: date) -> None:
        """Once a day, remove files that no version within the retention needs, and those that a kill left behind."""
        table = self._lake.table(name)
        done = table.transaction_version(_VACUUM)
        if done is not None and done >= today.toordinal():
            return
        table.create_write_transaction(
            [],
            mode="append",
            schema=table.schema(),
            partition_by=[DAY],
            commit_properties=CommitProperties(
                max_commit_retries=0, app_transactions=[Transaction(_VACUUM, today.toordinal())]
            ),
        )
        if done is not None:  # a table of today has nothing to clear
            days = self._lake.settings.fraud_lake_retention_days
            hours = int(timedelta(days=days).total_seconds() // 3600)
            gone = self._lake.table(name).vacuum(
                retention_hours=hours,
                dry_run=False,
                full=True,
                enforce_retention_duration=False,  # the setting may be shorter than when the table was made
            )
            _log.info("removed %d files of %s that no version of the last %d days needs", len(gone), name, days)
