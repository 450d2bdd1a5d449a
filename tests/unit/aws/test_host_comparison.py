"""`make verify-hosts` can tell hosts apart, and its stream is the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
import pytest

from localstack.pump.local_server import LocalServer
from shared.contracts.transaction import Transaction
from tests.e2e.hosts import comparison
from tests.e2e.hosts.comparison import answers, differences
from tests.e2e.hosts.host import Address, Reply
from tests.e2e.hosts.stream import HOSTILE, record

STREAM = record(400, seed=1, run="r-")


class Scripted:
    """A host that says what was asked of it, changed or not."""

    def __init__(self, change: Callable[[int, Reply], Reply] = lambda _, reply: reply) -> None:
        self.change = change
        self.asked = 0

    def ask(self, method: str, target: str, body: bytes, content_type: str) -> Reply:
        self.asked += 1
        answer = b'{"score":0.25,"degraded":false,"features":{},"timings":{"total":%d.5}}' % self.asked
        return self.change(self.asked, Reply(200, "application/json", answer))

    def close(self) -> None: ...


def compared(*changes: Callable[[int, Reply], Reply]) -> int:
    hosts = {"first": Scripted(), **{f"other-{number}": Scripted(change) for number, change in enumerate(changes)}}
    return len(differences(STREAM, {name: answers(host, STREAM).replies for name, host in hosts.items()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: reply._replace(status=422),
        lambda reply: reply._replace(content_type="application/problem+json"),
        lambda reply: reply._replace(body=reply.body.replace(b"0.25", b"0.250")),
        lambda reply: reply._replace(body=reply.body.replace(b'"features":{}', b'"features":{"a":null}')),
    ],
)
def test_one_answer_that_differs_is_one_difference(change: Callable[[Reply], Reply]) -> None:
    assert compared(lambda number, reply: change(reply) if number == 7 else reply) == 1


def test_measured_timings_are_no_difference() -> None:
    assert compared(lambda number, reply: reply._replace(body=reply.body.replace(b'"total":', b'"total":9'))) == 0


def test_a_degraded_answer_is_asked_for_again_and_counts_when_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_PAUSE_SECONDS", 0)

    def degraded(reply: Reply) -> Reply:
        return reply._replace(body=reply.body.replace(b'"degraded":false', b'"degraded":true'))

    once = answers(Scripted(lambda number, reply: degraded(reply) if number == 3 else reply), STREAM)
    assert once.again == 1
    assert differences(STREAM, {"a": answers(Scripted(), STREAM).replies, "b": once.replies}) == []
    always = answers(Scripted(lambda _, reply: degraded(reply)), STREAM[:2])
    assert len(differences(STREAM[:2], {"a": answers(Scripted(), STREAM[:2]).replies, "b": always.replies})) == 2


def test_the_stream_is_the_same_every_time_and_as_long_as_asked() -> None:
    assert record(400, seed=1, run="r-") == STREAM
    assert record(400, seed=2, run="r-") != STREAM
    assert sum(request.transactions for request in STREAM) == 400


def test_the_stream_holds_all_that_is_promised() -> None:
    kinds = Counter(request.kind for request in record(10_000, seed=1, run="r-"))
    assert set(kinds) >= {*HOSTILE, "plain", "late", "duplicate", "batch", "batch with a wrong one", "wrong media type"}


def test_plain_requests_are_valid_and_lie_in_the_past() -> None:
    plain = [request for request in STREAM if request.kind in ("plain", "late", "duplicate")]
    times = [Transaction.from_wire(request.body).event_time_ms for request in plain]
    assert len(plain) > 200
    assert max(times) < 1_767_225_600_000  # 2026
    assert all(orjson.loads(request.body)["card_id"].startswith("r-") for request in plain)


def test_a_deployed_scorer_is_asked_by_the_name_that_its_ingress_knows() -> None:
    asked: list[tuple[str, str | None, bytes]] = []

    class Ingress(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["host"], body))
            self.send_response(422)
            self.send_header("content-type", "application/problem+json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    ingress = LocalServer(Ingress)
    host = Address(f"http://{ingress.address}/", "scorer.fraud.example.com")
    reply = host.ask("POST", "/v1/score?details=true", b"\xff", "application/json")
    host.close()
    ingress.close()
    assert asked == [("/v1/score?details=true", "scorer.fraud.example.com", b"\xff")]
    assert reply == Reply(422, "application/problem+json", b"{}")
