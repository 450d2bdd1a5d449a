from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.transaction import Transaction
from shared.hosts.http_events import MAX_BODY_BYTES, EventEndpoint
from shared.hosts.outcome import ServiceAway
from shared.telemetry import logs, tracing
from tests.support.asgi import Answer, call
from tests.support.metrics import Change
from tests.support.transactions import CARD_NUMBER, body

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EVENT = Event(
    id="tx-1",
    source="/fraud/producer",
    type=cloudevents.TRANSACTION,
    data=body(),
    subject="tx-1",
    partition_key="card-1",
    traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
)


class Function:
    """An event-triggered function that remembers its events and fails as it is told."""

    def __init__(self, host: str) -> None:
        self.error: Exception | None = None
        self.handled: list[Event] = []
        self.traces: list[str] = []
        self.ready = True
        endpoint = EventEndpoint(self.handle, lambda: self.ready)

        async def serve(request: Request) -> Response:
            return await endpoint(request)

        methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
        framework = Starlette(routes=[Route("/{path:path}", serve, methods=methods)])
        self.app: Any = endpoint.asgi if host == "direct" else framework

    async def handle(self, event: Event) -> None:
        trace = tracing.current()
        self.traces.append(trace.trace_id if trace else "")
        if self.error is not None:
            raise self.error
        Transaction.from_event(event.data)
        self.handled.append(event)

    async def deliver(self, event: Event) -> Answer:
        headers, data = cloudevents.to_http(event)
        return await call(self.app, "POST", "/", headers=headers, body=data)


@pytest.fixture(params=["framework", "direct"])
def function(request: pytest.FixtureRequest) -> Function:
    return Function(request.param)


async def test_a_handled_event_is_answered_202_without_a_body(function: Function) -> None:
    change = Change()
    answer = await function.deliver(EVENT)
    assert (answer.status, answer.body) == (202, b"")
    assert function.handled == [EVENT]
    assert function.traces == [TRACE]
    assert change.of("fraud_events_handled_total", type=EVENT.type, outcome="done") == 1
    assert change.of("fraud_event_handling_seconds_count", type=EVENT.type) == 1


async def test_structured_mode_is_taken_too(function: Function) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    answer = await call(function.app, "POST", "/", headers=headers, body=cloudevents.to_structured(EVENT))
    assert answer.status == 202
    assert function.handled == [EVENT]


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (PoisonEvent("expected something else"), 400, "poison"),
        (ServiceAway("the feature store is away"), 503, "retry"),
        (RuntimeError("secret of the program"), 503, "retry"),
    ],
)
async def test_what_goes_wrong_says_whether_to_come_again(
    function: Function, error: Exception, status: int, outcome: str
) -> None:
    change = Change()
    function.error = error
    answer = await function.deliver(EVENT)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert b"secret" not in answer.body
    assert answer.json()["status"] == status
    assert change.of("fraud_events_handled_total", type=EVENT.type, outcome=outcome) == 1


async def test_invalid_data_is_poison_that_names_the_field(function: Function) -> None:
    answer = await function.deliver(Event(**{**_fields(EVENT), "data": body(amount="x")}))
    assert answer.status == 400
    assert answer.json()["detail"].startswith("amount: ")


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({}, b""),
        ({}, b"\xff" * 100),
        ({"content-type": "application/cloudevents+json"}, b"[]"),
        (cloudevents.to_http(EVENT)[0], b"x" * (MAX_BODY_BYTES + 1)),
    ],
)
async def test_what_is_no_event_is_poison(function: Function, headers: dict[str, str], data: bytes) -> None:
    change = Change()
    answer = await call(function.app, "POST", "/", headers=headers, body=data)
    assert answer.status == 400
    assert answer.json()["detail"]
    assert change.of("fraud_events_handled_total", type="unread", outcome="poison") == 1


async def test_a_sender_who_hangs_up_gets_no_event_handled(function: Function) -> None:
    headers, data = cloudevents.to_http(EVENT)
    answer = await call(function.app, "POST", "/", headers=headers, body=[data], hang_up=True)
    assert answer.status == 400
    assert function.handled == []


async def test_foreign_types_do_not_become_metric_labels(function: Function) -> None:
    change = Change()
    await function.deliver(Event(**{**_fields(EVENT), "type": "com.example.random-7f3a"}))
    assert change.of("fraud_events_handled_total", type="other", outcome="done") == 1


@pytest.mark.parametrize("place", ["id", "subject", "type", "data", "name"])
@pytest.mark.parametrize("written", [CARD_NUMBER, "4111-1111-1111-1111"])
async def test_card_numbers_reach_neither_log_nor_answer(
    function: Function, place: str, written: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers, data = cloudevents.to_http(EVENT)
    if place == "data":
        data = body(merchant_id=written, **{written: 1})
    elif place == "name":
        headers[f"ce-{written}-"] = "x"
    else:
        headers[f"ce-{place}"] = written
    with caplog.at_level(logging.INFO):
        answer = await call(function.app, "POST", "/", headers=headers, body=data)
        function.error = RuntimeError("unforeseen")
        await call(function.app, "POST", "/", headers=headers, body=data)
    formatter = logs._Formatter("test", "1")
    logged = "".join(formatter.format(record) for record in caplog.records)
    assert logged
    assert "1111" not in logged
    assert b"1111" not in answer.body


class TestOperations:
    async def test_health_and_metrics_are_answered(self, function: Function) -> None:
        assert (await call(function.app, "GET", "/health/liveness")).status == 200
        assert (await call(function.app, "GET", "/health/readiness")).status == 200
        metrics = await call(function.app, "GET", "/metrics")
        assert metrics.status == 200
        assert b"# HELP fraud_events_handled_total" in metrics.body

    async def test_an_unready_function_lives(self, function: Function) -> None:
        function.ready = False
        assert (await call(function.app, "GET", "/health/readiness")).status == 503
        assert (await call(function.app, "GET", "/health/liveness")).status == 200

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("PUT", "/", 405), ("DELETE", "/", 405)])
    async def test_anything_else_is_a_problem(self, function: Function, method: str, path: str, status: int) -> None:
        answer = await call(function.app, method, path)
        assert answer.status == status
        assert answer.json()["status"] == status


def _fields(event: Event) -> dict[str, str]:
    return {name: getattr(event, name) for name in Event._fields}
