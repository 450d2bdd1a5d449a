"""Runs of the promote function on a real lake, registry and broker: aliases, tags, events, and the scorer's answers."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from functions.promote.job import run
from functions.scorer.composition import compose
from functions.scorer.settings import ScorerSettings
from shared.bus import topics
from shared.bus.publisher import Publisher
from shared.cli import asking
from shared.cli.output import CommandFailed
from shared.contracts.event_time import to_rfc3339
from shared.contracts.model import ModelEvent
from shared.hosts.job import JobOutcome, JobRequest
from shared.lake.lake import Lake
from shared.lake.objects import Objects
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.follower import ModelFollower
from shared.runs.record import Trigger
from shared.runs.recorder import Recorder
from shared.runs.store import FOLDER, RunStore
from shared.scoring.policy import Policy
from tests.support.asgi import call
from tests.support.fakes.feature_store import FakeStore
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.lake.tables import own_lake
from tests.support.lake.writing import write
from tests.support.registry.versions import register_version
from tests.support.scoring.small_bundle import small_bundle
from tests.support.servers import FunctionProcess
from tests.support.transactions import body

DAY_MS = 86_400_000
START_MS = 1_767_571_200_000  # 2026-01-05
AS_OF_MS = START_MS + 40 * DAY_MS
ROWS = 30_000


@pytest.fixture
def lake(s3_environment: Mapping[str, str]) -> Lake:
    return own_lake(s3_environment)


@pytest.fixture
def model(
    lake: Lake, s3_environment: Mapping[str, str], mlflow_uri: str, kafka_bootstrap: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:  # fmt: skip
    """Name of a model whose versions 1 and 2 are champion and challenger."""
    name = f"fraud-{uuid.uuid4().hex[:8]}"
    values = {
        **s3_environment,
        "FRAUD_LAKE_URI": lake.settings.fraud_lake_uri,
        "MLFLOW_TRACKING_URI": mlflow_uri,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "FRAUD_STATE_DIR": str(tmp_path / "promote"),
        "FRAUD_MODEL_NAME": name,
    }
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    register_version(mlflow_uri, name, small_bundle(), "champion", tags={"average_precision": "0.70"})
    better = small_bundle(base_score=0.03, policy=Policy(0.8, 0.4))
    register_version(mlflow_uri, name, better, "challenger", tags={"average_precision": "0.80"})
    return name


def fill(lake: Lake, *, better: bool) -> None:
    """Twenty days that both models scored; the champion, or the challenger, sees less of the signal."""
    generator = np.random.default_rng(5)
    is_fraud = generator.random(ROWS) < 0.01
    signal = generator.normal(0, 1, ROWS) + 3.0 * is_fraud
    keen, dull = (1 / (1 + np.exp(4 - signal - noise * generator.normal(0, 1, ROWS))) for noise in (0.0, 1.5))
    times = START_MS + np.sort(generator.integers(0, 20 * DAY_MS, ROWS))
    ids, cards = [f"t-{one}" for one in range(ROWS)], [f"c-{one // 5}" for one in range(ROWS)]
    base = {"event_time_ms": times, "transaction_id": ids, "card_id": cards}
    champion, challenger = (dull, keen) if better else (keen, dull)
    seen = {side: opinion(score) for side, score in (("champion", champion), ("challenger", challenger))}
    shadows: dict[str, Any] = {f"{side}_model_version": str(number) for number, side in enumerate(seen, 1)}
    shadows |= {f"{side}_policy_version": "p" for side in seen}
    shadows |= {f"{side}_score": score for side, (score, _) in seen.items()}
    shadows |= {f"{side}_decision": decision for side, (_, decision) in seen.items()}
    write(lake.settings, "shadows", base | shadows)
    score, decision = seen["champion"]
    amount = np.round(generator.lognormal(8, 1, ROWS)).astype(np.int64)
    write(lake.settings, "decisions", base | {"score": score, "decision": decision, "amount_minor": amount})
    # Declined genuine transactions get an analyst's word here, so that every row is known in the end.
    said = is_fraud | (decision == "decline")
    labelled = {name: np.asarray(values)[said] for name, values in base.items()}
    write(
        lake.settings,
        "labels",
        labelled | {"is_fraud": is_fraud[said], "label_time_ms": labelled["event_time_ms"] + 7 * DAY_MS},
    )


def opinion(score: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    review, decline = np.quantile(score, [0.985, 0.995])
    return score, np.select([score >= decline, score >= review], ["decline", "review"], "approve").astype(object)


def ask(**request: Any) -> JobOutcome:
    asked = {"as_of": to_rfc3339(AS_OF_MS), **request}
    return run(JobRequest(trigger=Trigger(kind="manual", id=uuid.uuid4().hex, request=asked)))


def aliases(uri: str, name: str) -> dict[str, str]:
    return {alias: one.version for one in RegistryClient(uri).versions(name) for alias in one.aliases}


def tags(uri: str, name: str, version: str) -> dict[str, str]:
    found: list[ModelVersion] = RegistryClient(uri).versions(name)
    return dict(next(one for one in found if one.version == version).tags)


def events(bootstrap: str, model: str) -> list[ModelEvent]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    partitions = consumer.list_topics(topics.MODELS, timeout=10).topics[topics.MODELS].partitions
    consumer.assign([TopicPartition(topics.MODELS, number, 0) for number in partitions])
    found = []
    while (message := consumer.poll(1.0)) is not None:
        if message.error() is None:
            found.append(ModelEvent.model_validate_json(message.value()))
    consumer.close()
    return [one for one in found if one.name == model]


class Scorer:
    """A scorer that follows the real registry; its store and broker are fakes."""

    def __init__(self, uri: str, name: str, folder: Path) -> None:
        self.follower = ModelFollower(RegistryClient(uri), folder, name=name, poll_s=3600)
        self.follower.poll()
        settings = ScorerSettings(fraud_store_timeout_ms=10_000, fraud_queue_deadline_ms=30_000)
        publisher = Publisher("unused:1", producer=FakeProducer())  # type: ignore[arg-type]
        self._app = compose(settings, FakeStore(), publisher, self.follower).app  # type: ignore[arg-type]

    async def score(self, number: int) -> bytes:
        sent = body(transaction_id=f"tx-{number}", card_id=f"card-{number % 3}", amount=f"{100 + number * 37}.00")
        answer = await call(
            self._app, "POST", "/v1/score", headers={"content-type": "application/json"}, body=sent
        )  # fmt: skip
        assert answer.status == 200
        return answer.body


async def test_a_better_challenger_is_promoted_and_rolled_back_bit_for_bit(
    lake: Lake, model: str, mlflow_uri: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    fill(lake, better=True)
    scorer = Scorer(mlflow_uri, model, tmp_path / "scorer")
    for number in range(40):  # the store knows all of them before any answer is compared
        await scorer.score(number)
    before = [await scorer.score(number) for number in range(40)]

    outcome = await asyncio.to_thread(ask)
    assert outcome.kind == "done", outcome
    assert outcome.result["verdict"] == "promoted", outcome.result["reasons"]
    assert aliases(mlflow_uri, model) == {"champion": "2", "previous": "1"}
    tagged = tags(mlflow_uri, model, "2")
    assert tagged["promotion"] == "promoted"
    assert orjson.loads(tagged["promotion_reasons"]) == outcome.result["reasons"]
    scorer.follower.poll()
    between = [await scorer.score(number) for number in range(40)]
    assert {orjson.loads(one)["model_version"] for one in between} == {"2"}
    assert all(one != other for one, other in zip(before, between, strict=True))

    rolled = await asyncio.to_thread(ask, action="rollback")
    assert rolled.result["champion"] == "1", rolled
    assert aliases(mlflow_uri, model) == {"champion": "1", "previous": "2"}
    scorer.follower.poll()
    assert [await scorer.score(number) for number in range(40)] == before
    assert [(one.version, one.action, one.alias) for one in events(kafka_bootstrap, model)] == [
        ("2", "promoted", "champion"),
        ("2", "rolled_back", "previous"),
    ]
    record = RunStore(Objects(lake.settings, FOLDER)).find(outcome.result["run_id"])
    assert record is not None
    assert (record.outcome, record.outputs["verdict"]) == ("done", "promoted")


def test_a_worse_challenger_leaves_the_shadow(lake: Lake, model: str, mlflow_uri: str) -> None:
    fill(lake, better=False)
    outcome = ask()
    assert outcome.result["verdict"] == "rejected", outcome.result["reasons"]
    assert aliases(mlflow_uri, model) == {"champion": "1"}
    assert tags(mlflow_uri, model, "2")["promotion"] == "rejected"
    assert "average precision worse" in tags(mlflow_uri, model, "2")["promotion_reasons"]


def test_parity_mismatches_block(lake: Lake, model: str, mlflow_uri: str) -> None:
    fill(lake, better=True)
    with Recorder(RunStore(Objects(lake.settings, FOLDER)), "parity").record(Trigger(kind="schedule")) as parity:
        parity.outputs |= {"checked": 100, "decisions_wrong": 2, "undecidable": 0, "mismatches": {"amount": 2}}
    outcome = ask()
    assert outcome.result["verdict"] == "kept"
    assert "2 feature values differ" in outcome.result["reasons"][0]
    assert aliases(mlflow_uri, model) == {"champion": "1", "challenger": "2"}


def test_labels_that_have_not_matured_decide_nothing(lake: Lake, model: str, mlflow_uri: str) -> None:
    fill(lake, better=True)
    outcome = ask(as_of=to_rfc3339(START_MS + 14 * DAY_MS))
    assert outcome.result["verdict"] == "kept"
    assert outcome.result["reasons"][0].startswith("0 matured frauds among ")
    assert outcome.result["evidence"]["agreement"]["of"] > 20_000
    assert aliases(mlflow_uri, model) == {"champion": "1", "challenger": "2"}


def test_there_is_nothing_to_weigh_or_to_roll_back(lake: Lake, model: str, mlflow_uri: str) -> None:
    refused = ask(action="rollback")
    assert (refused.kind, refused.reason) == ("refused", f"{model} has no previous version")
    nothing = ask()  # no table at all yet
    assert nothing.result["reasons"] == ["0 matured frauds among 0 transactions that both scored; 50 are asked for"]


def test_the_command_line_asks_the_function_and_reads_its_record(
    lake: Lake, model: str, mlflow_uri: str, tmp_path: Path
) -> None:
    names = ("FRAUD_", "AWS_", "MLFLOW_", "KAFKA_")
    environment = {name: value for name, value in os.environ.items() if name.startswith(names)}
    with FunctionProcess.under_uvicorn("promote", tmp_path / "function", environment) as function:
        function.wait("/health/readiness")
        with pytest.raises(CommandFailed, match=r"promote answered 400: .* has no previous version"):
            asking.ask("promote", {"action": "rollback"}, function.url)
        record = asking.ask("promote", {}, function.url)
        assert record.outputs["verdict"] == "kept"
        assert record.trigger.kind == "manual"
        assert function.metrics()['fraud_promotion_runs_total{verdict="kept"}'] == 1
