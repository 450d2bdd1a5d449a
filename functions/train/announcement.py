"""Telling the rest of the system about new model versions."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from functions.train.request import Registered, TrainResult
from functions.train.settings import TrainSettings
from shared.bus import topics
from shared.bus.outbox import Outbox
from shared.bus.publisher import Publisher
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds
from shared.contracts.model import ModelEvent
from shared.telemetry import tracing

_log = logging.getLogger(__name__)

SOURCE = "/fraud/train"
WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.02


def model_event(name: str, registered: Registered, reason: str) -> Event:
    """Return the event of one new version; its id is the same however often it is published."""
    trace = tracing.current()
    data = ModelEvent(
        name=name,
        version=registered.version,
        alias=registered.alias,
        action="registered",
        reasons=[reason, f"average precision {registered.average_precision:.4f} on the test rows"],
        run_id=registered.run_id,
        occurred_at=datetime.now(UTC),
    )
    return Event(
        id=f"{name}-{registered.version}-{registered.run_id}-registered",
        source=SOURCE,
        type=cloudevents.MODEL,
        data=data.model_dump_json().encode(),
        subject=f"{name}/{registered.version}",
        time=cloudevents.event_time(now_milliseconds()),
        partition_key=name,
        traceparent=trace.traceparent if trace else None,
    )


class Announcer:
    """Publishes model events; a training is rare, so the connection lives for one announcement.

    Without Kafka the events stay in the journal and go out with the next announcement.
    """

    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings

    async def __call__(self, result: TrainResult) -> None:
        """Publish what was registered."""
        name, settings = self._settings.fraud_model_name, self._settings
        publisher = Publisher(settings.kafka_bootstrap_servers, Outbox(settings.fraud_state_dir / "outbox"))
        publisher.recover()
        events = [model_event(name, registered, result.message) for registered in result.registered]
        publisher.publish([(topics.MODELS, event) for event in events])
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while publisher.pending and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(_POLL_SECONDS)
        publisher.close(0)
