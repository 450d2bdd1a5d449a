"""Where the train function's parts are put together; tests hand in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from functions.train.metrics import measure, observed
from functions.train.request import TrainRequest
from functions.train.settings import TrainSettings
from shared.contracts import cloudevents
from shared.hosts.aws_kafka import KafkaTrigger, is_kafka_batch
from shared.hosts.http_events import EventEndpoint
from shared.hosts.job import RunJob, ScheduledJob, in_process


@dataclass(frozen=True)
class ComposedTrain:
    """A composed train function, one face for each kind of host."""

    job: ScheduledJob
    endpoint: EventEndpoint
    kafka_trigger: KafkaTrigger

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle an AWS Lambda invocation: a batch of drift events, or what `ScheduledJob.invoke` takes."""
        return self.kafka_trigger(event) if is_kafka_batch(event) else self.job.invoke(event)


def compose(settings: TrainSettings | None = None, run_job: RunJob | None = None) -> ComposedTrain:
    """Put a train function together; what is not handed in is made from the settings. Connects to nothing yet."""
    settings = settings or TrainSettings()
    job = ScheduledJob(
        observed(run_job or in_process("functions.train.job")),
        TrainRequest.model_validate,
        measure,
        starts=(cloudevents.PING, cloudevents.DRIFT),
    )
    return ComposedTrain(job, EventEndpoint(job.handle), KafkaTrigger(job.handle, settings.kafka_bootstrap_servers))
