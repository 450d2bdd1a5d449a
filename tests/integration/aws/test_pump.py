"""The event pump: Kafka batches through the runtime interface, schedules, the HTTP API, an endpoint of AWS' API."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import urllib3
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from redis.asyncio import Redis

from localstack.pump.http_server import HttpApi
from localstack.pump.invokers import Endpoint, FunctionError, Invoker, RuntimeInterface
from localstack.pump.kafka_trigger import KafkaPoller
from localstack.pump.schedules import ScheduleRunner, ticks
from localstack.pump.template import KafkaMapping, Schedule, TemplateError
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.features.catalogue import CATALOGUE
from shared.features.online import OnlineFeatures
from tests.support.features.valkey import free_port
from tests.support.hosts import ROOT, lambda_functions
from tests.support.servers import Valkey
from tests.support.transactions import body, transaction, wire

COUNT = 60


def make_topic(bootstrap: str, name: str, partitions: int) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    [made] = admin.create_topics([NewTopic(name, partitions, 1)]).values()
    made.result()
    return name


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    return make_topic(kafka_bootstrap, f"pump-{uuid4().hex}", 3)


@pytest.fixture
def mapping(topic: str) -> KafkaMapping:
    """The feature updater's own, but for the topic and its sizes."""
    [ours, _] = lambda_functions()["feature-updater"].kafka
    return replace(ours, topics=(topic,), group=topic, batch_size=25, window_seconds=0.2)


def produce(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(COUNT):
        data = wire(transaction_id=f"tx-{number}", card_id=f"card-{number % 4}")
        event = Event(
            data["transaction_id"], "/t", cloudevents.TRANSACTION, orjson.dumps(data), partition_key=data["card_id"]
        )
        key, value, headers = cloudevents.to_kafka(event)
        producer.produce(topic, value, key, headers=[*headers])
    producer.flush()


def committed(bootstrap: str, group: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    found = consumer.committed([TopicPartition(topic, partition) for partition in range(3)])
    consumer.close()
    return sum(max(0, one.offset) for one in found)


def counts(store: Valkey) -> list[object]:
    async def read() -> list[object]:
        async with Redis.from_url(store.url) as client:
            probes = [transaction(transaction_id="tx-0", card_id="card-0")]
            probes += [transaction(transaction_id="probe", card_id=f"card-{number}") for number in range(1, 4)]
            reads = await OnlineFeatures(client).record_and_read(probes)
            return [dict(zip(CATALOGUE.names, one.values, strict=True))["txn_count_10m"] for one in reads]

    return asyncio.run(read())


def test_a_topic_goes_through_the_runtime_interface_whatever_the_store_does(
    kafka_bootstrap: str, topic: str, mapping: KafkaMapping, tmp_path: Path
) -> None:
    produce(kafka_bootstrap, topic)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "FRAUD_UPDATE_TIMEOUT_MS": "300"}
    handler = lambda_functions()["feature-updater"].handler
    stop = threading.Event()
    with Valkey(tmp_path / "valkey") as store:
        store.stop()
        environment["REDIS_URL"] = store.url
        with RuntimeInterface(handler, environment, ROOT, 30, tmp_path / "log") as function:
            pauses: list[float] = []

            def pause(seconds: float) -> None:
                pauses.append(seconds)
                if len(pauses) == 2:
                    store.start()

            poller = KafkaPoller(mapping, function, kafka_bootstrap, pause)
            done = 0
            deadline = time.monotonic() + 60
            while done < COUNT and time.monotonic() < deadline:
                done += poller.turn(stop)
            poller.close()
        assert done == COUNT
        assert pauses[:2] == [0.2, 0.4]  # nothing was given up while the store was away
        assert committed(kafka_bootstrap, mapping.group, topic) == COUNT
        assert counts(store) == [15, 16, 16, 16]  # of which the last three are the probes


class Refusing:
    """A function that raises."""

    def __init__(self) -> None:
        self.invoked = 0

    def invoke(self, _payload: Any) -> Any:
        self.invoked += 1
        raise FunctionError("ValueError", "never")

    def close(self) -> None: ...


def test_what_never_succeeds_ends_at_the_destination(kafka_bootstrap: str, topic: str, mapping: KafkaMapping) -> None:
    produce(kafka_bootstrap, topic)
    make_topic(kafka_bootstrap, f"{topic}-dead", 1)
    refusing = Refusing()
    few = replace(mapping, retries=2, on_failure=f"{topic}-dead", batch_size=COUNT)
    poller = KafkaPoller(few, refusing, kafka_bootstrap, lambda _: None)
    done, deadline = 0, time.monotonic() + 60
    while done < COUNT and time.monotonic() < deadline:
        done += poller.turn(threading.Event())
    poller.close()
    assert refusing.invoked % 3 == 0
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": "reader"})
    dead = TopicPartition(f"{topic}-dead", 0)
    assert consumer.get_watermark_offsets(dead) == (0, COUNT)
    consumer.close()


def test_the_scorer_answers_behind_the_http_api_of_the_pump(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {
        "REDIS_URL": f"redis://{nowhere}/0",
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
        "MLFLOW_TRACKING_URI": f"http://{nowhere}",
        "FRAUD_STATE_DIR": str(tmp_path / "state"),
    }
    with RuntimeInterface(lambda_functions()["scorer"].handler, environment, ROOT, 30, tmp_path / "log") as function:
        api = HttpApi(function, 0)
        try:
            http = urllib3.PoolManager(retries=False, timeout=30)  # a cold start on a busy machine
            alive = http.request("GET", f"{api.url}/health/liveness")
            refused = http.request("POST", f"{api.url}/v1/score?details=true", body=body(amount="-1"))
            wanting = http.request("POST", f"{api.url}/v1/score", body=body())
        finally:
            api.close()
    assert (alive.status, alive.json()) == (200, {"status": "alive"})
    assert refused.status == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert wanting.status == 503  # no model anywhere


class Counting:
    """A function that fails a few times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.payloads: list[Any] = []

    def invoke(self, payload: Any) -> Any:
        self.payloads.append(payload)
        if len(self.payloads) <= self.failures:
            raise FunctionError("ServiceAway", "later")
        return {}

    def close(self) -> None: ...


@pytest.mark.parametrize(("failures", "well", "invoked"), [(0, True, 1), (2, True, 3), (9, False, 3)])
def test_a_tick_is_tried_as_often_as_the_template_says(failures: int, well: bool, invoked: int) -> None:
    function, given_up = Counting(failures), []
    [schedule] = lambda_functions()["drift"].schedules
    runner = ScheduleRunner(schedule, function, 0.0, given_up.append)
    assert runner.tick(threading.Event()) is well
    assert function.payloads == [{}] * invoked
    assert len(given_up) == (not well)


def test_a_schedule_ticks_until_it_is_stopped() -> None:
    function, stop = Counting(0), threading.Event()
    runner = ScheduleRunner(Schedule("rate(1 minute)", "{}", 0), function, 0.0, lambda _: None)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert function.payloads == []


def test_schedules_are_read() -> None:
    start = datetime(2026, 1, 31, 23, 50, 1, tzinfo=UTC)
    assert [one.minute for one in islice(ticks("rate(5 minutes)", start), 3)] == [55, 0, 5]
    assert next(iter(ticks("cron(30 2 * * ? *)", start))) == datetime(2026, 2, 1, 2, 30, tzinfo=UTC)
    with pytest.raises(TemplateError):
        ticks("cron(0 0 ? * MON *)", start)


@pytest.fixture
def lambda_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """AWS' Invoke API in front of a function that runs under the runtime interface."""
    handler = "tests.unit.aws.failing_function.handler"
    with RuntimeInterface(handler, {}, ROOT, 20, tmp_path / "log") as function:
        server = HTTPServer(("127.0.0.1", 0), _invoke_api(function))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "eu-central-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


def _invoke_api(function: Invoker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/2015-03-31/functions/fraud-x/invocations"
            payload = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            try:
                answer = function.invoke(payload)
            except FunctionError as error:
                self.send_header("X-Amz-Function-Error", "Unhandled")
                answer = {"errorType": error.kind, "errorMessage": str(error)}
            self.end_headers()
            self.wfile.write(orjson.dumps(answer))

        def log_message(self, *_: Any) -> None: ...

    return Handler


def test_a_function_is_invoked_at_an_endpoint(lambda_endpoint: str) -> None:
    endpoint = Endpoint("fraud-x", lambda_endpoint)
    assert endpoint.invoke({"a": "é"})["event"] == {"a": "é"}
    with pytest.raises(FunctionError, match="no good") as raised:
        endpoint.invoke({"raise": "no good"})
    assert raised.value.kind == "ValueError"
    endpoint.close()
