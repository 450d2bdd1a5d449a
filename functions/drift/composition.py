"""Where the drift function's parts are put together; tests hand in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter, Gauge

from functions.drift.request import DriftRequest
from shared.hosts.http_events import EventEndpoint
from shared.hosts.job import JobOutcome, RunJob, ScheduledJob, in_process

VERDICTS: Final = Counter("fraud_drift_runs_total", "Runs of the drift function, by verdict.", ["verdict"])
FINDINGS: Final = Gauge("fraud_drift_findings", "Quantities that drifted in the last window that was judged.")
EFFECT: Final = Gauge("fraud_drift_effect", "Effect of each quantity in the last window judged.", ["quantity"])
LOWER_BOUND: Final = Gauge("fraud_drift_effect_lower_bound", "Lower bound of that effect.", ["quantity"])
ROWS: Final = Gauge("fraud_drift_window_rows", "Decisions in the last window that was judged.")
JUDGED: Final = Gauge("fraud_drift_last_verdict_timestamp_seconds", "End of the last window that was judged.")
ANNOUNCED: Final = Counter("fraud_drift_announced_total", "Drift events that were published.")


@dataclass(frozen=True)
class ComposedDrift:
    """A composed drift function, one face for each kind of host."""

    endpoint: EventEndpoint
    job: ScheduledJob

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle a schedule's invocation on AWS Lambda; see `ScheduledJob.invoke`."""
        return self.job.invoke(event)


def compose(run_job: RunJob | None = None) -> ComposedDrift:
    """Put a drift function together; what is not handed in is made. Connects to nothing yet."""
    job = ScheduledJob(run_job or in_process("functions.drift.job"), DriftRequest.model_validate, measure)
    return ComposedDrift(EventEndpoint(job.handle), job)


def measure(outcome: JobOutcome) -> None:
    """Tell the metrics what came of a run."""
    result = outcome.result
    VERDICTS.labels(result.get("outcome", outcome.kind)).inc()
    if "compared" not in result:
        return
    FINDINGS.set(len(result["findings"]))
    ROWS.set(result["volume"]["rows"])
    JUDGED.set(result["window_end_ms"] / 1000)
    ANNOUNCED.inc(bool(result["announced"]))
    for one in result["compared"]:
        EFFECT.labels(one["name"]).set(one["effect"])
        LOWER_BOUND.labels(one["name"]).set(one["lower_bound"])
