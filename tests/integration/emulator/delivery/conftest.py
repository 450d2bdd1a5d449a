import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.backing.ports import free_ports
from tests.support.delivery.dispatcher import DispatcherProcess
from tests.support.delivery.kafka import EmbeddedKafka, free_pair
from tests.support.delivery.sink import RecordingSink


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker apart from the session's shared one, since tests here kill it."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), free_pair())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def topic(kafka: EmbeddedKafka) -> str:
    return kafka.create(f"in-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def dead_topic(kafka: EmbeddedKafka) -> str:
    return kafka.create(f"dead-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink(*free_ports(1)) as service:
        yield service


@pytest.fixture
def dispatch(kafka: EmbeddedKafka, sink: RecordingSink, tmp_path: Path) -> Iterator:
    """Make a dispatcher on given manifests; it is ended after the test."""
    made: list[DispatcherProcess] = []

    def make(*manifests: dict, targets: dict[str, str] | None = None) -> DispatcherProcess:
        home = tmp_path / f"delivery-{len(made)}"
        (port,) = free_ports(1)
        addresses = {"sink": sink.url} if targets is None else targets
        process = DispatcherProcess(home, port, kafka.address, addresses, *manifests)
        made.append(process)
        return process

    yield make
    for process in made:
        if process._process is not None:
            process.stop()
