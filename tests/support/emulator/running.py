"""An emulator for tests: quick windows, own ports, clients that count what they lose."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from shared.backing.ports import free_ports
from shared.emulator.autoscaler import AutoscalerConfig
from shared.emulator.emulator import Emulator
from tests.support.emulator.manifests import write

PROJECT = Path(__file__).parents[3]
QUICK = AutoscalerConfig(stable_window=6, scale_to_zero_grace_period=2, initial_scale=0, max_scale=8)


@asynccontextmanager
async def running(
    folder: Path, *documents: dict[str, Any], environment: dict[str, str] | None = None
) -> AsyncIterator[Emulator]:
    """Run an emulator of some manifests; it is stopped at the end."""
    services = [document["metadata"]["name"] for document in documents if document["kind"] == "Service"]
    admin, *ports = free_ports(1 + len(services))
    emulator = Emulator(
        write(folder / "manifests", *documents),
        environment or {},
        folder / "home",
        dict(zip(services, ports, strict=True)),
        admin_port=admin,
        project=PROJECT,
        autoscaler=QUICK,
    )
    await emulator.start()
    try:
        yield emulator
    finally:
        await emulator.stop(10)


class Load:
    """Closed-loop clients with one keep-alive connection each.

    Attributes:
        answers: Status codes counted.
        errors: What a client saw instead of an answer.
        pids: Answers by process.
    """

    def __init__(self, url: str) -> None:
        self.answers: Counter[int] = Counter()
        self.errors: list[str] = []
        self.pids: Counter[int] = Counter()
        self._url = url
        self._stopping = False
        self._clients: list[asyncio.Task[None]] = []

    @property
    def sent(self) -> int:
        """Requests that got an answer or an error."""
        return self.answers.total() + len(self.errors)

    @asynccontextmanager
    async def clients(self, count: int) -> AsyncIterator["Load"]:
        """Send from `count` clients until the block ends; the last answers are awaited."""
        self._clients = [asyncio.create_task(self._client()) for _ in range(count)]
        try:
            yield self
        finally:
            self._stopping = True
            await asyncio.gather(*self._clients)
            self._stopping = False

    async def _client(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            while not self._stopping:
                try:
                    async with session.post(self._url, data=b"x" * 100) as answer:
                        self.answers[answer.status] += 1
                        self.pids[(await answer.json())["pid"]] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.errors.append(repr(error))


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)
