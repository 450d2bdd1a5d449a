"""Telling the rest of the system about new model versions."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from functions.train.request import Registered, TrainResult
from functions.train.settings import TrainSettings
from shared.bus import topics
from shared.bus.announcement import announce
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds
from shared.contracts.model import ModelEvent
from shared.telemetry import tracing

_log = logging.getLogger(__name__)

SOURCE = "/fraud/train"


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


async def announce_registered(settings: TrainSettings, result: TrainResult) -> None:
    """Publish what was registered. Without Kafka the events stay in the journal until the next announcement."""
    name = settings.fraud_model_name
    events = [(topics.MODELS, model_event(name, registered, result.message)) for registered in result.registered]
    if not await announce(settings.kafka_bootstrap_servers, settings.fraud_state_dir / "outbox", events):
        _log.warning("the model events wait in the journal: Kafka does not take them")
