import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.routing import Route

from functions.train.announcement import model_event
from functions.train.composition import compose
from functions.train.request import Registered, TrainRequest
from functions.train.settings import TrainSettings
from shared.contracts import cloudevents
from shared.contracts.cloudevents import PoisonEvent
from shared.contracts.model import ModelEvent
from shared.hosts.job import JobOutcome
from shared.hosts.outcome import ServiceAway
from shared.runs.record import Trigger
from tests.support.asgi import call

VERSION = Registered(version="3", alias="champion", run_id="abc", average_precision=0.8)
REGISTERED = JobOutcome(kind="done", result={"message": "registered version 3", "registered": [VERSION.model_dump()]})
NOTHING = JobOutcome(kind="done", result={"message": "champion 1 stays without a challenger", "registered": []})
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/schedule",
    "ce-type": cloudevents.PING,
    "content-type": "application/json",
}


def function(outcome=NOTHING, job=None):
    """The composed function with a job that answers `outcome`; keeps what was asked."""
    asked = []

    async def run_job(request):
        asked.append(request.asked)
        return outcome

    composed = compose(TrainSettings(), job or run_job)

    async def endpoint(request):
        return await composed.endpoint(request)

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    return SimpleNamespace(composed=composed, asked=asked, app=app)


async def post(made, body=b"", headers=HEADERS):
    return await call(made.app, "POST", "/", headers=headers, body=body)


def runs(outcome):
    return REGISTRY.get_sample_value("fraud_training_runs_total", {"outcome": outcome}) or 0.0


@pytest.mark.parametrize("body", [b"", b"{}", b'{"unknown": 1}'])
async def test_a_tick_starts_a_training_that_asks_for_nothing_special(body):
    made = function()
    answer = await post(made, body)
    assert (answer.status, answer.body) == (202, b"")
    assert TrainRequest.model_validate(*made.asked) == TrainRequest()


async def test_a_bootstrap_is_handed_on_and_new_versions_are_counted():
    made = function(REGISTERED)
    before = runs("registered")
    answer = await post(made, b'{"bootstrap": true, "seed": 5}')
    assert answer.status == 202
    assert made.asked == [{"bootstrap": True, "seed": 5}]
    assert runs("registered") == before + 1
    assert REGISTRY.get_sample_value("fraud_training_last_registered_timestamp_seconds") > 0


async def test_drift_starts_a_training():
    made = function()
    headers = {**HEADERS, "ce-type": cloudevents.DRIFT}
    answer = await post(made, b'{"features": []}', headers)
    assert answer.status == 202
    assert TrainRequest.model_validate(*made.asked) == TrainRequest()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (HEADERS, b"no json"),
        (HEADERS, b"[]"),
        (HEADERS, b'{"bootstrap": "yes"}'),
        (HEADERS, b'{"seed": -1}'),
        ({**HEADERS, "ce-type": cloudevents.TRANSACTION}, b"{}"),
        ({"content-type": "application/json"}, b"{}"),
    ],
)
async def test_what_starts_no_training_is_refused_for_good(headers, body):
    made = function()
    answer = await post(made, body, headers)
    assert answer.status == 400
    assert answer.json()["detail"]
    assert made.asked == []


async def test_a_missing_service_asks_to_come_again():
    made = function(JobOutcome(kind="missing", reason="the registry did not answer"))
    before = runs("missing")
    answer = await post(made)
    assert answer.status == 503
    assert "registry did not answer" in answer.json()["detail"]
    assert "retry-after" in answer.headers
    assert runs("missing") == before + 1


async def test_a_refused_model_is_said_and_not_tried_again():
    made = function(JobOutcome(kind="refused", reason="the training AUC is 0.62"))
    answer = await post(made)
    assert answer.status == 400
    assert "0.62" in answer.json()["detail"]


async def test_a_model_refused_after_drift_is_no_bad_event():
    made = function(JobOutcome(kind="refused", reason="the training AUC is 0.62"))
    before = runs("refused")
    answer = await post(made, b"{}", {**HEADERS, "ce-type": cloudevents.DRIFT})
    assert answer.status == 202
    assert runs("refused") == before + 1


async def test_a_job_that_dies_is_counted_and_comes_again():
    async def dies(_request):
        raise RuntimeError("the training process ended with status -9")

    before = runs("failed")
    answer = await post(function(job=dies))
    assert answer.status == 503
    assert runs("failed") == before + 1
    assert REGISTRY.get_sample_value("fraud_training_running") == 0


async def test_one_training_at_a_time():
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        started.set()
        await release.wait()
        return NOTHING

    job = function(job=slow).composed.job
    first = asyncio.create_task(job.run(Trigger(kind="schedule")))
    await started.wait()
    assert REGISTRY.get_sample_value("fraud_training_running") == 1
    with pytest.raises(ServiceAway, match="under way"):
        await job.run(Trigger(kind="schedule"))
    release.set()
    assert await first == NOTHING
    assert await job.run(Trigger(kind="schedule")) == NOTHING


@pytest.mark.parametrize("path", ["/health/liveness", "/health/readiness", "/metrics"])
async def test_probes_and_metrics_are_answered(path):
    answer = await call(function().app, "GET", path)
    assert answer.status == 200
    if path == "/metrics":
        assert "fraud_training_runs_total" in answer.body.decode()


def test_lambda_runs_a_schedules_input():
    made = function(REGISTERED)
    assert made.composed.invoke({"bootstrap": True}) == REGISTERED.result
    assert made.asked == [{"bootstrap": True}]


def test_lambda_fails_so_that_it_is_invoked_again():
    with pytest.raises(ServiceAway):
        function(JobOutcome(kind="missing", reason="away")).composed.invoke({})
    with pytest.raises(PoisonEvent):
        function(JobOutcome(kind="refused", reason="bad")).composed.invoke({})


def test_lambda_takes_drift_from_kafka():
    made = function()
    encode = [{f"ce_{name[3:]}": list(value.encode())} for name, value in HEADERS.items() if name.startswith("ce-")]
    headers = [*encode, {"ce_type": list(cloudevents.DRIFT.encode())}]
    record = {"topic": "fraud.drift", "partition": 0, "offset": 4, "value": "e30=", "headers": headers}
    answer = made.composed.invoke({"eventSource": "aws:SelfManagedKafka", "records": {"fraud.drift-0": [record]}})
    assert answer == {"batchItemFailures": []}
    assert made.asked == [{}]


def test_the_model_event_is_of_its_contract_and_stable():
    event, again = (model_event("fraud", VERSION, "registered version 3 as champion") for _ in range(2))
    assert event.id == again.id
    assert event.type == cloudevents.MODEL
    data = ModelEvent.model_validate_json(event.data)
    assert (data.version, data.alias, data.action, data.run_id) == ("3", "champion", "registered", "abc")
    cloudevents.to_kafka(event)
