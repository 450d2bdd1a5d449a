"""Event delivery over HTTP, as Knative's sources and the local emulator do it."""

import logging
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.contracts import cloudevents, problems
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.outcome import HANDLED, Handle, Outcome, run

_log = logging.getLogger(__name__)
MAX_BODY_BYTES = 2 * 1024 * 1024


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
        """Answer one request."""
        if request.method == "POST":
            return await self._deliver(request)
        path = request.url.path
        if request.method in ("GET", "HEAD"):
            if path == "/metrics":
                return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
            if path == "/health/liveness" or (path == "/health/readiness" and self._ready()):
                return Response(status_code=200)
            if path == "/health/readiness":
                return _problem(503, "not ready yet")
            return _problem(404, "events are delivered by POST /")
        return _problem(405, "events are delivered by POST", {"allow": "GET, HEAD, POST"})

    async def _deliver(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return _problem(400, "the request ended before its body did")
        try:
            event = _read(request, body)
        except PoisonEvent as poison:
            HANDLED.labels("unread", Outcome.POISON.value).inc()
            _log.error("event refused: %s", poison)
            return _problem(400, str(poison))
        handled = await run(self._handle, event)
        if handled.outcome is Outcome.DONE:
            return Response(status_code=202)
        if handled.outcome is Outcome.POISON:
            return _problem(400, handled.reason)
        return _problem(503, handled.reason, {"retry-after": "1"})


def _read(request: Request, body: bytes) -> Event:
    if len(body) > MAX_BODY_BYTES:
        raise PoisonEvent(f"the event is larger than {MAX_BODY_BYTES} bytes")
    return cloudevents.from_http(request.headers.items(), body)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return Response(problems.problem(status, detail).body(), status, headers, problems.MEDIA_TYPE)
