"""What the train function shows of its trainings, which run in processes of their own."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Counter, Gauge

from shared.hosts.job import JobOutcome, JobRequest, RunJob

RUNS: Final = Counter("fraud_training_runs_total", "Trainings, by what came of them.", ["outcome"])
RUNNING: Final = Gauge("fraud_training_running", "1 while a training runs in this process.")
SECONDS: Final = Gauge("fraud_training_last_seconds", "Duration of the last training that registered a model.")
REGISTERED: Final = Gauge("fraud_training_last_registered_timestamp_seconds", "When a model was last registered.")


def observed(run_job: RunJob) -> RunJob:
    """Return what runs trainings and tells the metrics of their length and of those that died."""

    async def run(request: JobRequest) -> JobOutcome:
        RUNNING.set(1)
        started = time.monotonic()
        try:
            outcome = await run_job(request)
        except BaseException:
            RUNS.labels("failed").inc()
            raise
        finally:
            RUNNING.set(0)
        if outcome.result.get("registered"):
            SECONDS.set(time.monotonic() - started)
        return outcome

    return run


def measure(outcome: JobOutcome) -> None:
    """Tell the metrics what came of a training."""
    registered = bool(outcome.result.get("registered"))
    RUNS.labels(outcome.kind if outcome.kind != "done" else "registered" if registered else "nothing").inc()
    if registered:
        REGISTERED.set_to_current_time()
