import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from typer import Typer
from typer.testing import CliRunner

from functions.producer import cli, main
from functions.producer.composition import produce
from functions.producer.exposition import served
from functions.producer.settings import ProducerSettings

ROOT = Path(main.__file__).parents[2]


class Bus:
    def __init__(self):
        self.published = []

    def publish(self, items):
        self.published.extend(items)

    def drain(self, _timeout_seconds):
        return 3


async def test_a_run_gives_a_summary_that_adds_up():
    bus = Bus()
    settings = ProducerSettings(rate=2_000, speedup=5_000, count=800, score=False)
    document = await produce(settings, bus=bus, stop=asyncio.Event())

    assert document["transactions"] == 800
    assert document["ending"] == "complete"
    assert document["events_undelivered"] == 3
    assert document["transactions"] + document["duplicates"] + document["labels"] == len(bus.published)
    assert document["decisions"] == {}
    assert document["seconds"] > 0.2


async def test_equal_arguments_send_equal_events():
    async def events():
        bus = Bus()
        await produce(
            ProducerSettings(rate=5_000, speedup=1_000, count=500, score=False, start="2026-01-15T12:00:00Z"),
            bus=bus,
            stop=asyncio.Event(),
        )
        return [(topic, event.id, event.data) for topic, event in bus.published]

    assert await events() == await events()


async def test_metrics_and_health_are_served():
    async with served(0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path in ("/health/liveness", "/health/readiness"):
            async with session.get(path) as response:
                assert response.status == 200
        async with session.get("/metrics") as response:
            text = await response.text()
    for name in ("deliveries_total", "decisions_total", "stand_ins_total", "frauds_total", "decision_seconds"):
        assert f"# HELP fraud_producer_{name} " in text


def test_a_signal_stops_it_and_the_summary_says_so():
    """Without broker and scorer it goes on, counts what it misses, and ends within seconds of SIGTERM."""
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SCORER_URL": "http://127.0.0.1:1"}
    environment.pop("PORT", None)
    program = subprocess.Popen(
        [sys.executable, "-m", "functions.producer", "--rate", "50", "--budget-ms", "100"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in program.stderr:  # librdkafka complains once the first event is waiting
        if "librdkafka" in line:
            break
    program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=30)

    assert program.returncode == 0
    assert "stand-ins: " in out
    assert "unreachable" in out
    assert "ended early: stopped" in out
    assert "had not reached Kafka" in out


@pytest.mark.parametrize(("arguments", "status"), [(["--rate", "0"], 2), (["--start", "2126-01-01T00:00:00Z"], 1)])
def test_wrong_use_is_said(arguments, status, capsys):
    assert main.main(arguments) == status
    assert capsys.readouterr().err


def test_the_program_needs_neither_typer_nor_training_libraries():
    code = (
        "import sys, functions.producer.main; "
        "print([m for m in ('typer', 'rich', 'pandas', 'duckdb', 'pyarrow', 'xgboost') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_the_command_hands_its_options_on(monkeypatch):
    seen = []

    async def fake(settings, **_):
        seen.append(settings)
        return {"transactions": 1}

    monkeypatch.setattr(cli, "produce", fake)
    app = Typer()
    app.command()(cli.command)
    result = CliRunner().invoke(
        app,
        "--rate 50 --count 9 --seed 3 --pattern card_testing=0.5@2 --no-score --url http://s --kafka k:1 --json",
    )

    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["{", '"transactions":', "1", "}"]
    [settings] = seen
    assert (settings.rate, settings.count, settings.seed, settings.score) == (50, 9, 3, False)
    assert (settings.scorer_url, settings.kafka_bootstrap_servers) == ("http://s", "k:1")
    assert settings.pattern == ("card_testing=0.5@2",)


def test_a_wrong_option_of_the_command_is_named():
    app = Typer()
    app.command()(cli.command)
    result = CliRunner().invoke(app, ["--pattern", "unheard_of=1", "--url", "http://s", "--kafka", "k:1"])

    assert result.exit_code == 2
    assert "--pattern" in result.output
