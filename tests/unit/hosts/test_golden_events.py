"""Every function answers the golden payloads of each of its hosts, through its own entry points."""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import functions_framework.aio
import orjson
import pytest

import functions.archiver.composition
import functions.drift.composition
import functions.feature_updater.composition
import functions.promote.composition
import functions.scorer.composition
import functions.shadow_scorer.composition
import functions.train.composition
from functions.train.job import JobOutcome
from functions.train.request import TrainRequest, TrainResult
from shared.bus import topics
from shared.bus.publisher import Publisher
from shared.contracts import cloudevents
from shared.hosts.aws_events import ForeignEvent
from shared.hosts.aws_kafka import is_kafka_batch
from shared.hosts.job import JobOutcome as ScheduledOutcome
from shared.hosts.job import JobRequest, RunJob
from shared.registry.follower import CurrentModel
from shared.runs.record import Trigger
from tests.support.asgi import call
from tests.support.events import Golden, agrees, golden
from tests.support.fakes.feature_store import FakeStore
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.fakes.models import FakeModels, model

ROOT = Path(__file__).parents[3]


@dataclass
class Neighbours:
    """What stands in for the services behind the functions."""

    store: FakeStore = field(default_factory=FakeStore)
    producer: FakeProducer = field(default_factory=FakeProducer)
    dead_letters: FakeProducer = field(default_factory=FakeProducer)
    publisher: Publisher = field(init=False)
    trained: int = 0
    archived: list[str] = field(default_factory=list)
    ran: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.publisher = Publisher("unused:1", producer=self.producer)  # type: ignore[arg-type]

    def check(self, expect: dict[str, Any]) -> None:
        """Compare the effect with what is expected."""
        self.publisher.drain(0)
        recorded = [name for card in self.store.cards.values() for name in card]
        assert recorded == expect.get("recorded", recorded)
        published: dict[str, list[str | None]] = {}
        for sent in self.producer.acknowledged:
            published.setdefault(sent.topic, []).append(sent.event.subject)
        assert published == expect.get("published", {})
        assert self.trained == expect.get("trained", 0)
        assert self.archived == expect.get("archived", [])
        assert self.ran == expect.get("ran", {})
        dead = [dict(sent.headers)["ce_knativeerrordata"].decode() for sent in self.dead_letters.acknowledged]
        assert dead == expect.get("dead_letters", [])
        assert all(sent.topic == topics.DEAD_LETTERS for sent in self.dead_letters.acknowledged)

    def archive(self, trigger: Trigger) -> dict[str, Any]:
        self.archived.append(trigger.kind)
        return {"tables": {}}

    async def train(self, _request: TrainRequest) -> JobOutcome:
        self.trained += 1
        return JobOutcome(kind="done", result=TrainResult(message="nothing to do"))

    def runs(self, function: str) -> RunJob:
        async def run(_request: JobRequest) -> ScheduledOutcome:
            self.ran[function] += 1
            return ScheduledOutcome(kind="done", result={"said": function})

        return run


@pytest.fixture
def neighbours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Neighbours]:
    """Entry modules that are loaded now compose their function with these neighbours."""
    neighbours = Neighbours()
    publisher = neighbours.publisher
    for composition, others in {
        functions.scorer.composition: {
            "features": neighbours.store,
            "publisher": publisher,
            "models": FakeModels(model()),
        },
        functions.feature_updater.composition: {"store": neighbours.store},
        functions.shadow_scorer.composition: {
            "publisher": publisher,
            "models": FakeModels(model("2", alias="challenger")),
        },
        functions.train.composition: {"run_job": neighbours.train},
        functions.archiver.composition: {"run": neighbours.archive},
        functions.drift.composition: {"run_job": neighbours.runs("drift")},
        functions.promote.composition: {"run_job": neighbours.runs("promote")},
    }.items():
        monkeypatch.setattr(composition, "compose", functools.partial(composition.compose, **others))
    monkeypatch.setattr("shared.telemetry.logs.configure", lambda _service: None)
    monkeypatch.setattr("shared.bus.dead_letters.Producer", lambda _settings: neighbours.dead_letters)
    yield neighbours
    atexit.unregister(publisher.close)  # registered with the first request; nothing of it is to be flushed


@pytest.mark.parametrize("event", golden("http", "knative"))
async def test_under_functions_framework(event: Golden, neighbours: Neighbours) -> None:
    source = ROOT / "functions" / event.function / "main.py"
    app = functions_framework.aio.create_asgi_app(event.function, str(source))
    request = event.request
    answer = await call(app, request["method"], request["path"], headers=request["headers"], body=event.body)
    assert answer.status == event.expect["status"], answer.body
    if "body" in event.expect:
        assert agrees(answer.json(), event.expect["body"]), answer.body
    if event.expect["status"] == 202:
        assert answer.body == b""  # a Broker would take anything else for an event
    if "reason" in event.expect:
        assert event.expect["reason"] in answer.json()["detail"]
    neighbours.check(event.expect)


@pytest.fixture
def event_loop_of_lambda() -> Iterator[None]:
    """The main thread's event loop, which Lambda's runtime keeps from one invocation to the next."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()


def load(function: str) -> Any:
    """Load a function's entry module, as Lambda's runtime does at a cold start."""
    spec = importlib.util.spec_from_file_location("lambda_main", ROOT / "functions" / function / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("event", golden("aws_lambda"))
@pytest.mark.usefixtures("event_loop_of_lambda")
def test_under_aws_lambda(event: Golden, neighbours: Neighbours) -> None:
    result = load(event.function).lambda_handler(event.invocation, None)
    expect = event.expect
    if "result" in expect:
        assert agrees(result, expect["result"]), result
    else:
        assert result["statusCode"] == expect["status"]
        assert result["isBase64Encoded"] is False
        assert agrees(orjson.loads(result["body"]), expect["body"]), result["body"]
    # the process may be frozen now: nothing may wait to be sent
    assert neighbours.producer.waiting == []
    neighbours.check(expect)


@pytest.mark.usefixtures("event_loop_of_lambda")
def test_the_same_transaction_gets_the_same_decision_on_every_host(neighbours: Neighbours) -> None:
    bodies = set()
    for parameter in golden("http", "aws_lambda"):
        event = parameter.values[0]
        if event.name in ("http/score", "aws_lambda/api_gateway_v1", "aws_lambda/api_gateway_v2", "aws_lambda/alb"):
            module = load(event.function)
            if event.request:
                app = functions_framework.aio.create_asgi_app("scorer", module.__file__)
                answer = asyncio.get_event_loop().run_until_complete(
                    call(app, "POST", "/v1/score", headers=event.request["headers"], body=event.body)
                )
                bodies.add(answer.body.decode())
            else:
                bodies.add(module.lambda_handler(event.invocation, None)["body"])
    assert len(bodies) == 1


class ArrivingModel(FakeModels):
    """A follower whose first model is still under way when the first request comes."""

    def __init__(self, arrives: bool) -> None:
        super().__init__(None)
        self.arrives = arrives

    def wait(self, _timeout_s: float) -> CurrentModel:
        assert self.started == 1
        self.held = model() if self.arrives else None
        return self.current


@pytest.mark.parametrize(("arrives", "status"), [(True, 200), (False, 503)])
@pytest.mark.usefixtures("event_loop_of_lambda", "neighbours")
def test_the_first_request_of_a_cold_start_waits_for_the_model(
    arrives: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition = functions.scorer.composition
    following = functools.partial(composition.compose, models=ArrivingModel(arrives))  # type: ignore[arg-type]
    monkeypatch.setattr(composition, "compose", following)
    [event] = [one.values[0] for one in golden("aws_lambda") if one.values[0].name == "aws_lambda/api_gateway_v2"]
    assert load("scorer").lambda_handler(event.invocation, None)["statusCode"] == status


FUNCTIONS = ("scorer", "feature_updater", "shadow_scorer", "train", "archiver", "drift", "promote")
SCHEDULED = ("train", "archiver", "drift", "promote")
TAKES_RECORDS = ("feature_updater", "shadow_scorer", "train")


def strangers(*hosts: str) -> list[Any]:
    """Each function with each payload that is not meant for it; one tick is as good as another."""
    found = []
    for parameter in golden(*hosts):
        event = parameter.values[0]
        ping = event.request.get("headers", {}).get("ce-type") == cloudevents.PING
        ticks = SCHEDULED if ping or "schedule" in event.name else ()
        found += [
            pytest.param(function, event, id=f"{event.name} to {function}")
            for function in FUNCTIONS
            if function != event.function and function not in ticks
        ]
    return found


@pytest.mark.parametrize(("function", "event"), strangers("http", "knative"))
async def test_a_strangers_request_is_refused_with_a_reason(
    function: str, event: Golden, neighbours: Neighbours
) -> None:
    app = functions_framework.aio.create_asgi_app(function, str(ROOT / "functions" / function / "main.py"))
    request = event.request
    answer = await call(app, request["method"], request["path"], headers=request["headers"], body=event.body)
    assert 400 <= answer.status < 500, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    neighbours.check({"recorded": []})


@pytest.mark.parametrize(("function", "event"), strangers("aws_lambda"))
@pytest.mark.usefixtures("event_loop_of_lambda")
def test_a_strangers_invocation_is_refused_with_a_reason(function: str, event: Golden, neighbours: Neighbours) -> None:
    handler = load(function).lambda_handler
    if is_kafka_batch(event.invocation) and function in TAKES_RECORDS:
        # It may be what this function takes on another topic: each record is judged by itself.
        assert handler(event.invocation, None) == {"batchItemFailures": []}
        reasons = [dict(sent.headers)["ce_knativeerrordata"] for sent in neighbours.dead_letters.acknowledged]
        assert len(reasons) == sum(len(records) for records in event.invocation["records"].values())
        assert all(reasons)
        neighbours.dead_letters.acknowledged.clear()
    else:
        with pytest.raises((ForeignEvent, RuntimeError), match=r"not an event of|unable to infer a handler"):
            handler(event.invocation, None)
    neighbours.check({"recorded": []})


def test_every_function_has_payloads_of_both_kinds_of_host() -> None:
    for hosts in (("http", "knative"), ("aws_lambda",)):
        named = {parameter.values[0].function for parameter in golden(*hosts)}
        assert named == {"scorer", "feature_updater", "shadow_scorer", "train", "archiver", "drift", "promote"}
