"""Where the producer's parts are put together and run; tests hand in others."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from functions.producer import exposition
from functions.producer.producer import Asker, Bus, Producer
from functions.producer.settings import ProducerSettings
from functions.producer.switch import Switch
from functions.producer.tally import Tally
from functions.producer.timetable import Timetable, simulation
from shared.bus.publisher import Publisher
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.simulation.stream import LiveStream

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
_PROGRESS_SECONDS = 1.0


class DrainingBus(Bus, Protocol):
    """A bus that can be waited for."""

    def drain(self, timeout_seconds: float) -> int:
        """Wait until all events are acknowledged; returns how many are not after the timeout."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run, for whoever shows it; `total` is None for an endless one."""

    tally: Tally
    total: int | None


async def produce(
    settings: ProducerSettings,
    *,
    stop: asyncio.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    bus: DrainingBus | None = None,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """Run a producer until its stream ends or it is stopped.

    Args:
        settings: What to produce, and where it goes.
        stop: Ends the run when set; by default SIGTERM and SIGINT do.
        progress: Called about once a second.
        bus: Takes the events; by default a publisher to the broker of the settings.
        asker: Gives the decisions; by default the scorer of the settings, or nobody when it is not to be asked.

    Returns:
        The figures of `Tally.document`, and `cards`, `start`, `events_undelivered` (to Kafka, at the end) and `ending`
        (see `producer.Ending`).

    Raises:
        OvertakesClock: The settings lead into the future.
        OSError: The port for metrics is taken.
    """
    config = simulation(settings, now_milliseconds())
    stream = LiveStream(config, settings.count)
    bus = bus or Publisher(settings.kafka_bootstrap_servers, buffer_events=settings.buffer_events)
    async with AsyncExitStack() as stack:
        stopped = await stack.enter_async_context(_signals()) if stop is None else stop
        if asker is None and settings.score:
            asker = await stack.enter_async_context(_switch(settings))
        if settings.port is not None:
            await stack.enter_async_context(exposition.served(settings.port))
        producer = Producer(stream.batches(), bus, asker, max_in_flight=settings.max_in_flight)
        if progress is not None:
            show = asyncio.create_task(_repeat(lambda: progress(Progress(producer.tally, settings.count))))
            stack.callback(show.cancel)
        _log.info("sending %g transactions per second of %d cards", settings.rate, stream.cards)
        ending = await producer.run(
            lambda: Timetable(config.start_ms, asyncio.get_running_loop().time(), settings.speedup),
            stopped,
            # At the clock's own speed there is nothing to catch up with, and a clock set back must not end the run.
            latest_ms=now_milliseconds if settings.speedup > 1 else None,
        )
        undelivered = bus.drain(FLUSH_SECONDS)
    _log.info("ended: %s", ending)
    return producer.tally.document() | {
        "cards": stream.cards,
        "start": to_rfc3339(config.start_ms),
        "events_undelivered": undelivered,
        "ending": str(ending),
    }


@asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _switch(settings: ProducerSettings) -> AsyncIterator[Switch]:
    # As many connections as open questions: a question must not wait for a connection unseen.
    connector = aiohttp.TCPConnector(limit=settings.max_in_flight, keepalive_timeout=30)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Switch(session, settings.scorer_url, settings.budget_ms / 1e3)


async def _repeat(action: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        action()
