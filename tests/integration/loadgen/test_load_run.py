"""Runs of load against a server that stalls, closes and refuses."""

import json
from typing import Any

import pytest

from shared.loadgen.connection import Target
from shared.loadgen.recorder import Second
from shared.loadgen.replicas import ReplicaWatch
from shared.loadgen.report import LoadReport
from shared.loadgen.requests import fixed_request
from shared.loadgen.run import LoadPlan, generate, run
from tests.support.loadgen.http_server import Behaviour, RudeServer, Server, serving

CLOSE = [(b"connection", b"close")]


def load(url: str, *, watch: ReplicaWatch | None = None, seen: list[Second] | None = None, **plan: Any) -> LoadReport:
    target = Target.parse(url)
    settings = {"seconds": 1.0, "rate": 100.0} | plan
    source = fixed_request(target, b"{}")
    return run(
        lambda: generate(
            LoadPlan(target=target, **settings), source, watch=watch, on_second=None if seen is None else seen.append
        )
    )


def received(server: Server) -> int:
    return len(server.behaviour.received)


def test_open_loop_sends_exactly_the_schedule() -> None:
    with serving() as server:
        report = load(server.url, rate=200.0, seconds=1.5)
        assert received(server) == 300
    assert report.mode == "open"
    assert report.requests == report.answered == 300
    assert report.failed == 0
    assert report.statuses == {"200": 300}
    assert report.achieved_rate == pytest.approx(300 / max(report.seconds, 1.5), rel=0.01)
    assert sum(second.answered for second in report.timeline) == 300


def test_a_stall_is_charged_to_every_request_that_was_due_in_it() -> None:
    """The test of coordinated omission: one connection, one stall of half a second, 200 requests a second.

    A closed loop would see one slow request in 200 (the 99th percentile would not notice). Due in the stall were 100
    of the 400, waiting from 500 ms down to nothing, so the slowest hundredth waited nearly all of it.
    """
    with serving(Behaviour(stall_at_request=100, stall_seconds=0.5)) as server:
        report = load(server.url, rate=200.0, seconds=2.0, connections=1)
    assert report.answered == 400
    assert report.latency_ms["p99"] is not None
    assert report.latency_ms["p99"] > 400
    assert report.latency_ms["p90"] is not None
    assert report.latency_ms["p90"] > 150
    assert report.late >= 80
    assert report.connections == 1


def test_more_connections_are_opened_while_answers_are_slow() -> None:
    with serving(Behaviour(delay_seconds=0.3)) as server:
        report = load(server.url, rate=100.0, seconds=1.0, connections=64)
    assert report.answered == 100
    assert 16 < report.connections <= 64  # more than were opened ahead
    assert report.latency_ms["p50"] is not None
    assert report.latency_ms["p50"] >= 300


def test_what_could_not_be_sent_is_counted_with_the_time_it_waited() -> None:
    with serving(Behaviour(delay_seconds=0.5)) as server:
        report = load(server.url, rate=100.0, seconds=1.0, connections=2, drain_seconds=0.5)
        assert received(server) < 20
    assert report.requests == 100
    assert report.failures["unsent"] > 80
    assert report.failed == 100 - report.statuses["200"]
    assert report.latency_ms["max"] is not None
    assert report.latency_ms["max"] > 1000


def test_closed_loop_keeps_every_connection_busy() -> None:
    with serving(Behaviour(delay_seconds=0.02)) as server:
        report = load(server.url, rate=None, connections=4)
        assert received(server) == report.answered
    assert report.mode == "closed"
    assert report.target_rate is None
    assert report.connections == 4
    assert report.failed == 0
    assert 4 <= report.answered <= 204  # four connections, at best 50 answers a second each


def test_connection_close_is_honoured_without_a_loss() -> None:
    with serving(Behaviour(headers=CLOSE)) as server:
        report = load(server.url, rate=100.0)
        assert received(server) == 100
    assert report.answered == 100
    assert report.failed == 0
    assert report.reconnected == 0
    assert report.connections >= 100


def test_a_reused_connection_closed_before_any_answer_is_tried_once_more() -> None:
    with RudeServer(answers_per_connection=3) as server:
        report = load(server.url, rate=100.0, connections=1)
        assert report.answered == 100
        assert report.failed == 0
        assert report.reconnected > 20
        assert server.requests == 100 + report.reconnected


def test_a_fresh_connection_closed_before_any_answer_is_a_failure() -> None:
    with RudeServer(answers_per_connection=0) as server:
        report = load(server.url, rate=20.0)
    assert report.answered == 0
    assert report.failures == {"disconnected": 20}
    assert report.failed == 20
    assert report.reconnected == 0


def test_error_statuses_fail_and_do_not_flatter_the_latencies() -> None:
    with serving(Behaviour(status=503)) as server:
        report = load(server.url, rate=50.0)
    assert report.statuses == {"503": 50}
    assert report.failed == 50
    assert report.latency_ms["p50"] is None


def test_degraded_decisions_are_counted() -> None:
    def every_other(_path: str, _body: bytes) -> tuple[int, bytes]:
        degraded = b"true" if len(behaviour.received) % 2 else b"false"
        return 200, b'{"decision":"approve","degraded":' + degraded + b"}"

    behaviour = Behaviour(answer=every_other)
    with serving(behaviour) as server:
        report = load(server.url, rate=40.0)
    assert (report.answered, report.degraded) == (40, 20)


def test_requests_without_an_answer_time_out() -> None:
    with serving(Behaviour(delay_seconds=3)) as server:
        report = load(server.url, rate=20.0, seconds=0.5, timeout_seconds=0.3)
    assert report.failures == {"timeout": 10}
    assert report.latency_ms["p50"] is not None
    assert report.latency_ms["p50"] >= 300


def test_a_server_that_goes_away_makes_failures_and_an_end() -> None:
    with serving() as server:
        target = Target.parse(server.url)

        def stop(_second: Second) -> None:
            server.server.should_exit = True

        plan = LoadPlan(target=target, seconds=2.5, rate=50.0)
        report = run(lambda: generate(plan, fixed_request(target, b"{}"), on_second=stop))
    assert report.requests == 125
    assert report.answered > 0
    assert report.failures.get("connect", 0) > 20
    assert report.answered + report.failed == 125


def test_an_absent_server_is_an_error() -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(OSError, match=r"(?i)connect"):
        load(url)


def test_replicas_are_asked_for_and_their_changes_kept() -> None:
    replicas = iter([1, 1, 3])

    def status(path: str, _body: bytes) -> tuple[int, bytes]:
        assert path == "/status"
        ready = [{"ready": True, "draining": False}] * next(replicas, 3)
        others = [{"ready": False, "draining": False}, {"ready": True, "draining": True}]
        return 200, json.dumps({"services": {"scorer": {"replicas": ready + others}}}).encode()

    seen: list[Second] = []
    with serving() as server, serving(Behaviour(answer=status)) as admin:
        report = load(server.url, seconds=3.0, rate=20.0, watch=ReplicaWatch(admin.url, "scorer"), seen=seen)
    assert [count for _, count in report.replicas] == [1, 3]
    assert seen[0].replicas == 1
    assert seen == list(report.timeline)


def test_without_an_admin_interface_replicas_are_unknown() -> None:
    with serving() as server:
        report = load(server.url, watch=ReplicaWatch("http://127.0.0.1:9", "scorer"))
    assert report.replicas == ()
    assert report.timeline[0].replicas is None
