"""Where the archiver's parts are put together; tests hand in others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from functions.archiver.process import Run, run_in_process
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.aws_events import require_schedule
from shared.hosts.http_events import EventEndpoint
from shared.hosts.outcome import ServiceAway
from shared.runs.record import Trigger


@dataclass(frozen=True)
class ComposedArchiver:
    """A composed archiver, one face for each kind of host."""

    endpoint: EventEndpoint
    run: Run

    def invoke(self, event: Any) -> dict[str, Any]:
        """Handle a schedule's invocation (AWS Lambda); returns what was archived.

        Raises:
            ForeignEvent: It is another trigger's.
            ServiceAway: Kafka or the lake is away; Lambda invokes again.
        """
        require_schedule(event)
        return self.run(Trigger(kind="schedule"))


def compose(run: Run = run_in_process) -> ComposedArchiver:
    """Put an archiver together. Connects to nothing yet."""
    one_at_a_time = asyncio.Lock()

    async def handle(event: Event) -> None:
        if event.type != cloudevents.PING:
            raise PoisonEvent(f"expected an event of type {cloudevents.PING}")
        if one_at_a_time.locked():
            raise ServiceAway("the run before is still under way")
        async with one_at_a_time:
            await asyncio.to_thread(run, Trigger.of(event))

    return ComposedArchiver(EventEndpoint(handle), run)
