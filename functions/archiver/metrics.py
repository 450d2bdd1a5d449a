"""What the archiver shows of itself."""

from typing import Final

from prometheus_client import Counter, Gauge

ROWS: Final = Counter("fraud_archive_rows_total", "Rows written to the lake.", ["table"])
DUPLICATES: Final = Counter(
    "fraud_archive_duplicates_total", "Records left out because the lake has their event already.", ["table"]
)
POISON: Final = Counter("fraud_archive_poison_total", "Records that are no event of the table's kind.", ["table"])
CONFLICTS: Final = Counter("fraud_archive_conflicts_total", "Commits that another writer was faster than.", ["table"])
UNREAD: Final = Counter(
    "fraud_archive_expired_total", "Records that the topic's retention removed before they were archived.", ["table"]
)
LAG: Final = Gauge("fraud_archive_lag_records", "Records that a run left on the topic.", ["table"])
LAST: Final = Gauge("fraud_archive_last_run_seconds", "When the topics were last drained, Unix time.")
FILES_COMPACTED: Final = Counter("fraud_archive_compacted_files_total", "Small files made into larger ones.", ["table"])
"""Also: fraud_runs_total{function="archiver"} and its kin in `shared.runs.recorder`."""
