"""Where the train function's parts are put together; tests hand in others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from functions.train.announcement import Announcer
from functions.train.request import TrainRequest
from functions.train.settings import TrainSettings
from functions.train.trainer import Announce, RunJob, Trainer, run_job_process
from shared.hosts.aws_events import require_schedule
from shared.hosts.aws_kafka import KafkaTrigger, is_kafka_batch
from shared.hosts.http_events import EventEndpoint


@dataclass(frozen=True)
class ComposedTrain:
    """A composed train function, one face for each kind of host."""

    trainer: Trainer
    endpoint: EventEndpoint
    kafka_trigger: KafkaTrigger

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Handle an AWS Lambda invocation: a batch of drift events, or a schedule's input.

        Raises:
            ForeignEvent: It is neither.
            pydantic.ValidationError: What is asked for is wrong.
            TrainingRefused: What was learned is no model to decide with.
            ServiceMissing: The registry or its storage is away; Lambda invokes again.
        """
        if is_kafka_batch(event):
            return self.kafka_trigger(event)
        require_schedule(event)
        result = asyncio.run(self.trainer.train(TrainRequest.model_validate(event)))
        return result.model_dump(mode="json")


def compose(
    settings: TrainSettings | None = None, run_job: RunJob = run_job_process, announce: Announce | None = None
) -> ComposedTrain:
    """Put a train function together; what is not handed in is made from the settings. Connects to nothing yet."""
    settings = settings or TrainSettings()
    trainer = Trainer(run_job, announce or Announcer(settings))
    return ComposedTrain(
        trainer, EventEndpoint(trainer.handle), KafkaTrigger(trainer.handle, settings.kafka_bootstrap_servers)
    )
