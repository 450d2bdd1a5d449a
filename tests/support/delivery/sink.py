"""An HTTP service that remembers what it was sent and answers what a test wants."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes
    path: str
    at: float

    @property
    def id(self) -> str:
        return self.headers.get("ce-id", "")


@dataclass(frozen=True)
class Reply:
    status: int = 202
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


class RecordingSink:
    """Serves on a thread of its own; `reply` may be exchanged at any time."""

    def __init__(self, port: int, reply: Callable[[Received], Reply] = lambda _: Reply()) -> None:
        self.port = port
        self.reply = reply
        self.received: list[Received] = []
        self.answered: list[tuple[Received, int]] = []
        self.at_once = self.most_at_once = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def open(self) -> None:
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def close(self) -> None:
        """Stop listening and cut all connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    async def _open(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        held_back = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held_back:
            task.cancel()
        await asyncio.gather(*held_back, return_exceptions=True)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(headers, await request.read(), request.path, time.monotonic())
        self.received.append(received)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            reply = self.reply(received)
            if reply.delay:
                await asyncio.sleep(reply.delay)
        finally:
            self.at_once -= 1
        self.answered.append((received, reply.status))
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
