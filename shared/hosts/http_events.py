"""Event delivery over HTTP, as Knative's sources and the local emulator do it."""

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.contracts import cloudevents, problems
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.outcome import HANDLED, Handle, Outcome, run

_log = logging.getLogger(__name__)
MAX_BODY_BYTES = 2 * 1024 * 1024


class _Reply(NamedTuple):
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


_DONE = _Reply(202)
_DISCONNECTED = "the request ended before its body did"


class EventEndpoint:
    """The HTTP face of an event-triggered function.

    A delivered event is answered 202 without a body (done), 400 (it can never be handled: dead letter) or 503 with
    ``Retry-After`` (a backing service is away: deliver again); Knative's delivery acts on just these. ``/metrics`` and
    ``/health/*`` are answered too.

    Args:
        handle: Handles one event.
        ready: Whether the function can work; backing services' state does not count.
    """

    def __init__(self, handle: Handle, ready: Callable[[], bool] = lambda: True) -> None:
        self._handle = handle
        self._ready = ready

    async def __call__(self, request: Request) -> Response:
        """Answer one request under functions-framework."""
        if request.method == "POST":
            try:
                body = await request.body()
            except ClientDisconnect:
                reply = _problem(400, _DISCONNECTED)
            else:
                reply = await self._deliver(request.headers.items(), body)
        else:
            reply = self._answer(request.method, request.url.path)
        return Response(reply.body, reply.status, dict(reply.headers))

    async def asgi(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request as an ASGI application; see `shared.hosts.direct`."""
        if scope["method"] == "POST":
            body = await _read_body(receive)
            if body is None:
                reply = _problem(400, _DISCONNECTED)
            else:
                named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
                reply = await self._deliver(named, body)
        else:
            reply = self._answer(scope["method"], scope["path"])
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _answer(self, method: str, path: str) -> _Reply:
        """Answer what is no event."""
        if method not in ("GET", "HEAD"):
            return _problem(405, "events are delivered by POST", ("allow", "GET, HEAD, POST"))
        if path == "/metrics":
            return _Reply(200, generate_latest(), (("content-type", CONTENT_TYPE_LATEST),))
        if path == "/health/liveness" or (path == "/health/readiness" and self._ready()):
            return _Reply(200)
        if path == "/health/readiness":
            return _problem(503, "not ready yet")
        return _problem(404, "events are delivered by POST /")

    async def _deliver(self, headers: Iterable[tuple[str, str]], body: bytes) -> _Reply:
        try:
            event = _read(headers, body)
        except PoisonEvent as poison:
            HANDLED.labels("unread", Outcome.POISON.value).inc()
            _log.error("event refused: %s", poison)
            return _problem(400, str(poison))
        handled = await run(self._handle, event)
        if handled.outcome is Outcome.DONE:
            return _DONE
        if handled.outcome is Outcome.POISON:
            return _problem(400, handled.reason)
        return _problem(503, handled.reason, ("retry-after", "1"))


def _read(headers: Iterable[tuple[str, str]], body: bytes) -> Event:
    if len(body) > MAX_BODY_BYTES:
        raise PoisonEvent(f"the event is larger than {MAX_BODY_BYTES} bytes")
    return cloudevents.from_http(headers, body)


async def _read_body(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes | None:
    """The body of a request; None when the caller went away in the middle of it."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _problem(status: int, detail: str, *headers: tuple[str, str]) -> _Reply:
    return _Reply(status, problems.problem(status, detail).body(), (("content-type", problems.MEDIA_TYPE), *headers))
