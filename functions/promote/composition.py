"""Where the promote function's parts are put together; tests hand in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter, Gauge

from functions.promote.request import PromoteRequest
from shared.hosts.http_events import EventEndpoint
from shared.hosts.job import JobOutcome, RunJob, ScheduledJob, in_process

VERDICTS: Final = Counter("fraud_promotion_runs_total", "Runs of the promote function, by verdict.", ["verdict"])
AGREEMENT: Final = Gauge(
    "fraud_promotion_agreement_percent", "Agreement of champion and challenger in the last evidence.", ["among"]
)
GAIN: Final = Gauge(
    "fraud_promotion_gain", "Challenger's gain over the champion in the last evidence, with its bounds.",
    ["figure", "bound"],
)  # fmt: skip


@dataclass(frozen=True)
class ComposedPromote:
    """A composed promote function, one face for each kind of host."""

    endpoint: EventEndpoint
    job: ScheduledJob

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle a schedule's invocation on AWS Lambda; see `ScheduledJob.invoke`."""
        return self.job.invoke(event)


def compose(run_job: RunJob | None = None) -> ComposedPromote:
    """Put a promote function together; what is not handed in is made. Connects to nothing yet."""
    job = ScheduledJob(run_job or in_process("functions.promote.job"), PromoteRequest.model_validate, measure)
    return ComposedPromote(EventEndpoint(job.handle), job)


def measure(outcome: JobOutcome) -> None:
    """Tell the metrics what came of a run."""
    VERDICTS.labels(outcome.result.get("verdict") or ("nothing" if outcome.kind == "done" else outcome.kind)).inc()
    evidence = outcome.result.get("evidence") or {}
    for among, key in (("all", "agreement"), ("alerts", "alert_agreement")):
        if evidence and evidence[key]["percent"] is not None:
            AGREEMENT.labels(among).set(evidence[key]["percent"])
    for figure in ("average_precision", "saved_per_1000"):
        for bound in ("gain", "lower", "upper"):
            if evidence and evidence["matured"]:
                GAIN.labels(figure, bound).set(evidence["matured"][figure][bound])
