from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from pydantic import SecretStr
from typer.testing import CliRunner

from functions.scorer.composition import compose
from functions.scorer.settings import ScorerSettings
from shared.bus.publisher import Publisher
from shared.cli.replay import command
from tests.support.fakes.kafka_producer import FakeProducer
from tests.support.fakes.models import FakeModels, model
from tests.support.loadgen.http_server import Server, serving


@pytest.fixture
def scorer(redis_url: str, tmp_path: Path) -> Iterator[Server]:
    """The scorer itself on a real feature store, with a small model and without Kafka."""
    settings = ScorerSettings(
        redis_url=SecretStr(redis_url), fraud_state_dir=tmp_path / "scorer", fraud_store_timeout_ms=2_000
    )
    publisher: Any = Publisher("unused:1", producer=FakeProducer())  # type: ignore[arg-type]
    models: Any = FakeModels(model())
    with serving(app=compose(settings, publisher=publisher, models=models).app) as server:
        yield server


class Replay:
    """Runs `fraud replay` in this process."""

    def __init__(self) -> None:
        self.app = typer.Typer()
        self.app.command()(command)

    def __call__(self, *arguments: object) -> Result:
        return CliRunner().invoke(self.app, [str(argument) for argument in arguments])


@pytest.fixture
def replay() -> Replay:
    return Replay()
