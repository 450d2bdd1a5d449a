"""Publishing the few events of one run: the connection lives for one announcement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.bus.outbox import Outbox
from shared.bus.publisher import Publisher
from shared.contracts.cloudevents import Event

_WAIT_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.02


async def announce(bootstrap_servers: str, folder: Path, events: Sequence[tuple[str, Event]]) -> bool:
    """Publish events, each with its topic, and what earlier announcements could not deliver.

    Without Kafka they stay in the journal and go out with the next announcement.

    Args:
        bootstrap_servers: Kafka.
        folder: Writable: the journal.
        events: What to publish.

    Returns:
        Whether Kafka has all of them.
    """
    publisher = Publisher(bootstrap_servers, Outbox(folder))
    publisher.recover()
    publisher.publish(events)
    deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while publisher.pending and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(_POLL_SECONDS)
    delivered = not publisher.pending
    publisher.close(0)
    return delivered
