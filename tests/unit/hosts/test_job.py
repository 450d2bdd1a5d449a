"""Runs in a process of their own: what comes back, one at a time, and how outcomes reach the host."""

import asyncio
import os
import subprocess
import sys

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.hosts.job import JobOutcome, JobRequest, ScheduledJob, in_process
from shared.hosts.outcome import ServiceAway
from shared.runs.record import Trigger

NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_REGION": "us-east-1",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "FRAUD_REGISTRY_WAIT_SECONDS": "0",
}


class Asked(BaseModel):
    number: int = 0


def tick(data=b"{}", type_=cloudevents.PING):
    return Event("id-1", "/schedule", type_, data)


def scheduled(outcome=None, seen=None, concluded=None):
    async def run(request):
        if seen is not None:
            seen.append(request)
        return outcome or JobOutcome(kind="done", result={"answer": 42})

    return ScheduledJob(run, Asked.model_validate, (concluded if concluded is not None else []).append)


async def test_a_tick_is_one_run_that_knows_its_trigger():
    seen, concluded = [], []
    await scheduled(seen=seen, concluded=concluded).handle(tick(b'{"number": 3}'))
    assert [(one.trigger.kind, one.trigger.id, one.asked) for one in seen] == [("schedule", "id-1", {"number": 3})]
    assert concluded == [JobOutcome(kind="done", result={"answer": 42})]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (tick(type_=cloudevents.DRIFT), PoisonEvent),
        (tick(b"no json"), PoisonEvent),
        (tick(b'{"number": "many"}'), ValidationError),
    ],
)
async def test_what_starts_no_run_is_poison(event, error):
    seen = []
    with pytest.raises(error):
        await scheduled(seen=seen).handle(event)
    assert seen == []


async def test_refused_is_poison_and_missing_comes_again():
    with pytest.raises(PoisonEvent, match="never"):
        await scheduled(JobOutcome(kind="refused", reason="never")).handle(tick())
    with pytest.raises(ServiceAway, match="later"):
        await scheduled(JobOutcome(kind="missing", reason="later")).handle(tick())


async def test_two_runs_at_once_are_not_done():
    release = asyncio.Event()

    async def run(_request):
        await release.wait()
        return JobOutcome(kind="done")

    job = ScheduledJob(run, Asked.model_validate, lambda _outcome: None)
    first = asyncio.create_task(job.handle(tick()))
    await asyncio.sleep(0)
    with pytest.raises(ServiceAway, match="under way"):
        await job.handle(tick())
    release.set()
    await first
    await job.handle(tick())


async def test_refused_is_no_bad_event_when_nobody_asked():
    async def run(_request):
        return JobOutcome(kind="refused", reason="never")

    job = ScheduledJob(run, Asked.model_validate, lambda _outcome: None, starts=(cloudevents.PING, cloudevents.DRIFT))
    await job.handle(tick(type_=cloudevents.DRIFT))
    with pytest.raises(PoisonEvent, match="never"):
        await job.handle(tick())


@pytest.mark.parametrize("module", ["functions.drift.job", "functions.promote.job", "functions.train.job"])
async def test_a_process_says_that_the_lake_is_away(module, monkeypatch):
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    outcome = await in_process(module)(JobRequest(trigger=Trigger(kind="schedule")))
    assert outcome.kind == "missing"
    assert "storage does not answer" in outcome.reason


async def test_a_process_that_fails_is_an_error(monkeypatch):
    monkeypatch.setenv("FRAUD_DRIFT_HOURS", "-1")
    with pytest.raises(RuntimeError, match=r"functions\.drift\.job ended with status 1"):
        await in_process("functions.drift.job")(JobRequest(trigger=Trigger(kind="schedule")))


@pytest.mark.parametrize("function", ["drift", "promote", "train"])
def test_waiting_for_work_loads_none_of_the_libraries(function):
    program = (
        f"import sys, functions.{function}.main, functions.{function}.job;"
        "heavy = {'boto3', 'deltalake', 'duckdb', 'evidently', 'matplotlib', 'mlflow', 'numpy', 'onnx', 'pandas'};"
        "print(sorted((heavy | {'pyarrow', 'sklearn', 'xgboost'}) & set(sys.modules)))"
    )
    environment = {**os.environ, **NOWHERE}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert orjson.loads(done.stdout.replace("'", '"')) == []
