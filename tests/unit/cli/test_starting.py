"""Parts of the start: ports, manifests without traffic, the first training."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from shared.backing.ports import free_ports
from shared.cli import bootstrap
from shared.cli.manifest_copy import without_traffic
from shared.cli.stack_settings import PROJECT, StackSettings, passed_on
from shared.emulator.manifests import load_manifests


def test_ports_follow_the_settings() -> None:
    settings = StackSettings(api_port=18000, functions_port=18101)
    ports = settings.service_ports(["feature-updater", "scorer", "train"])
    assert ports == {"scorer": 18000, "feature-updater": 18101, "train": 18102}


def test_functions_get_their_own_settings_and_not_the_machinerys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("FRAUD_HOME", "/somewhere")
    monkeypatch.setenv("FRAUD_KAFKA_PORT", "1234")
    monkeypatch.setenv("HOME_OF_SECRETS", "no")
    passed = passed_on()
    assert passed["FRAUD_LOG_LEVEL"] == "DEBUG"
    assert not passed.keys() & {"FRAUD_HOME", "FRAUD_KAFKA_PORT", "HOME_OF_SECRETS"}


def test_without_traffic_only_the_producer_is_missing(tmp_path: Path) -> None:
    base = PROJECT / "knative" / "base"
    whole, quiet = load_manifests(base), load_manifests(without_traffic(base, tmp_path / "copy"))
    assert whole.deployments.keys() - quiet.deployments.keys() == {"producer"}
    assert quiet.services.keys() == whole.services.keys()


async def _trained_by(status: int, body: str, log: Path, said: list[str]) -> None:
    """Train with a function that logs two lines and answers so."""

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["ce-type"] == "dev.knative.sources.ping"
        with log.open("a") as lines:
            for logger, message in (("functions.train.stages", "fit the champion"), ("mlflow", "a library's word")):
                lines.write(json.dumps({"message": message, "logger": logger}) + "\n")
        await asyncio.sleep(3 * bootstrap._POLL_SECONDS)
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    (port,) = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await bootstrap.train(f"http://127.0.0.1:{port}", log, said.append)
    finally:
        await runner.cleanup()


async def test_training_shows_what_the_function_says(tmp_path: Path) -> None:
    log = tmp_path / "train.jsonl"
    log.write_text(json.dumps({"message": "of an earlier run", "logger": "functions.train"}) + "\n")
    said: list[str] = []
    await _trained_by(202, "", log, said)
    assert said == ["train: fit the champion"]


async def test_a_failed_training_gives_reason_and_log(tmp_path: Path) -> None:
    problem = json.dumps({"type": "about:blank", "status": 503, "detail": "MLflow is away"})
    with pytest.raises(bootstrap.TrainingFailed, match=r"(?s)answered 503: MLflow is away.*a library's word"):
        await _trained_by(503, problem, tmp_path / "train.jsonl", [])


async def test_no_answer_is_a_failed_training(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(bootstrap.TrainingFailed, match="gave no answer"):
        await bootstrap.train(f"http://127.0.0.1:{port}", tmp_path / "train.jsonl", [].append)
