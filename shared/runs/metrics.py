"""What is shown of runs."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from shared.telemetry.carried import Carried

RUNS: Final = Counter("fraud_runs_total", "Runs that have ended.", ["function", "outcome"])
MISSED: Final = Counter("fraud_runs_missed_total", "Runs of a schedule that did not happen.", ["function"])
LAST: Final = Gauge("fraud_run_last_seconds", "When the last run ended, Unix time.", ["function", "outcome"])

RUN_METRICS: Final = (RUNS, MISSED, LAST)
CARRIED: Final = Carried(*RUN_METRICS)
