"""The ASGI application of the scorer.

Decisions and probes are answered here, without FastAPI's routing (which costs about as much as the decision itself)
and without its import (a third of the cold start). Everything else goes to the FastAPI application, which declares all
routes and is loaded right after the first answer.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from functions.scorer.handler import Reply, ScoreHandler
from functions.scorer.health import Health
from shared.hosts.memory import settle

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class FrontDoor:
    """ASGI application.

    Args:
        handler: Answers decisions.
        health: Answers probes.
        build_api: Builds the application for all other paths; called once, in a thread.
        on_start: Called in the event loop before the first request is answered; no host here runs ASGI's lifespan.
    """

    def __init__(
        self,
        handler: ScoreHandler,
        health: Health,
        build_api: Callable[[], Application],
        on_start: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._health = health
        self._build_api = build_api
        self._on_start: Callable[[], None] | None = on_start
        self._api: Application | None = None
        self._api_lock = threading.Lock()
        self._preload: asyncio.Future[Application] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._on_start is not None:
            on_start, self._on_start = self._on_start, None
            on_start()
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/v1/score" and scope["method"] == "POST":
            reply = await self._handler.score(scope["headers"], scope["query_string"], receive)
        elif path == "/health/readiness" and scope["method"] == "GET":
            reply = self._health.readiness()
        elif path == "/health/liveness" and scope["method"] == "GET":
            reply = self._health.liveness()
        else:
            await (await self._load_api())(scope, receive, send)
            return
        await _send(reply, send)
        if self._preload is None and reply.status == 200:
            self._preload = asyncio.ensure_future(self._load_api())

    async def _load_api(self) -> Application:
        if self._api is not None:
            return self._api
        return await asyncio.to_thread(self._load_api_once)

    def _load_api_once(self) -> Application:
        with self._api_lock:
            if self._api is None:
                self._api = self._build_api()
                settle()  # the last of the imports is in
            return self._api


async def _send(reply: Reply, send: Send) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})
