"""What the archiver shows of itself. Runs count in their own process, and the function adds up what they counted."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from shared.runs.metrics import RUN_METRICS
from shared.telemetry.carried import Carried

ROWS: Final = Counter("fraud_archive_rows_total", "Rows written to the lake.", ["table"])
DUPLICATES: Final = Counter(
    "fraud_archive_duplicates_total", "Records left out because the lake has their event already.", ["table"]
)
POISON: Final = Counter("fraud_archive_poison_total", "Records that are no event of the table's kind.", ["table"])
CONFLICTS: Final = Counter("fraud_archive_conflicts_total", "Commits that another writer was faster than.", ["table"])
UNREAD: Final = Counter(
    "fraud_archive_expired_total", "Records that the topic's retention removed before they were archived.", ["table"]
)
FILES_COMPACTED: Final = Counter("fraud_archive_compacted_files_total", "Small files made into larger ones.", ["table"])
LAG: Final = Gauge("fraud_archive_lag_records", "Records that a run left on the topic.", ["table"])
LAST: Final = Gauge("fraud_archive_last_run_seconds", "When the topics were last drained, Unix time.")
PARITY_CHECKED: Final = Counter("fraud_feature_parity_checked_total", "Decisions recomputed from the raw events.")
PARITY_MISMATCH: Final = Counter(
    "fraud_feature_parity_mismatch_total", "Decisions whose vector no possible history explains.", ["feature"]
)
PARITY_UNDECIDABLE: Final = Counter(
    "fraud_feature_parity_undecidable_total", "Decisions that differ, with too many possible histories to try."
)

CARRIED: Final = Carried(
    ROWS,
    DUPLICATES,
    POISON,
    CONFLICTS,
    UNREAD,
    FILES_COMPACTED,
    LAG,
    LAST,
    PARITY_CHECKED,
    PARITY_MISMATCH,
    PARITY_UNDECIDABLE,
    *RUN_METRICS,
)
