"""The archiver under kill -9, the short form of `make verify-archiver`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.verify_archiver import kill_repeatedly


def test_nothing_is_lost_and_nothing_doubled_when_archivers_are_killed(
    kafka_bootstrap: str, s3_environment: Mapping[str, str], tmp_path: Path
) -> None:
    held, report = kill_repeatedly(
        {**s3_environment, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap},
        f"s3://fraud-lake/kills-{time.time_ns()}",
        kills=3,
        seed=3,
        per_second=30,
        log=tmp_path / "log",
        places=("read", "written", "writing"),
    )
    assert held, report
