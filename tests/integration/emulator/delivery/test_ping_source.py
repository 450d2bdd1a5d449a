"""PingSource through the process; the times are real minutes, so this waits for at most one."""

import json

from tests.support.delivery.dispatcher import ping_source, service
from tests.support.delivery.kafka import eventually
from tests.support.delivery.sink import Reply


def test_the_event_of_a_schedule_arrives_and_its_run_is_shown(sink, dispatch) -> None:
    sink.reply = lambda _: Reply(503 if len(sink.received) == 1 else 202)
    with dispatch(service(), ping_source("every-minute", "* * * * *")) as process:
        assert process.status()["ping_sources"]["every-minute"]["next_run"]
        eventually(lambda: len(sink.answered) == 2, 75)
        eventually(lambda: process.status()["ping_sources"]["every-minute"]["last_run"]["outcome"] == "delivered")
        run = process.status()["ping_sources"]["every-minute"]
    first, second = sink.received
    assert first.headers["ce-id"] == second.headers["ce-id"]
    assert first.headers["ce-type"] == "dev.knative.sources.ping"
    assert first.headers["ce-source"] == "/apis/v1/namespaces/fraud/pingsources/every-minute"
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == {"run": True}
    assert run["last_run"]["attempts"] == 2
