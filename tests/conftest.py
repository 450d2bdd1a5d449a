"""Real backing services for tests: one of each per session, started when a test first asks for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.backing.backing import Backing
from shared.backing.ports import free_ports, is_free
from shared.backing.settings import BackingSettings

EXTERNAL_ADDRESSES = ("kafka_bootstrap_servers", "redis_url", "aws_endpoint_url", "mlflow_tracking_uri")


def backing_settings(home: Path, **changes: Any) -> BackingSettings:
    """Settings of embedded services on free ports under `home`, whatever the environment says."""
    redis, s3, mlflow = free_ports(3)
    ports = {"kafka_port": _free_pair(), "redis_port": redis, "s3_port": s3, "mlflow_port": mlflow}
    embedded = dict.fromkeys(EXTERNAL_ADDRESSES)
    return BackingSettings(**({"home": home, **ports, **embedded} | changes))


def _free_pair() -> int:
    """A free port whose successor is free too: the broker's, then its controller's."""
    while True:
        for port in free_ports(8):
            if port < 65535 and is_free(port + 1):
                return port


class SessionBacking:
    """The session's services, on an event loop of their own that outlives each test's."""

    def __init__(self, home: Path) -> None:
        self._settings = backing_settings(home)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backing", daemon=True)
        self._thread.start()
        self._started: dict[str, Backing] = {}

    def environment(self, name: str) -> Mapping[str, str]:
        """Start the service unless it runs, and return the variables by which a client finds it."""
        if name not in self._started:
            backing = Backing(self._settings, only=frozenset({name}))
            self._run(backing.start())
            self._started[name] = backing
        return self._started[name].environment

    def stop(self) -> None:
        for backing in self._started.values():
            self._run(backing.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


@pytest.fixture(scope="session")
def session_backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionBacking]:
    backing = SessionBacking(tmp_path_factory.mktemp("backing"))
    yield backing
    backing.stop()


@pytest.fixture
def redis_url(session_backing: SessionBacking) -> str:
    """URL of a real Valkey, empty at the start of each test."""
    import redis

    url = session_backing.environment("redis")["REDIS_URL"]
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def kafka_bootstrap(session_backing: SessionBacking) -> str:
    """Address of a real broker with the project's topics; what a test writes there stays for the session."""
    return session_backing.environment("kafka")["KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture(scope="session")
def s3_environment(session_backing: SessionBacking) -> Mapping[str, str]:
    """`AWS_*` variables of a real S3 server with the buckets `lake` and `mlflow`."""
    return session_backing.environment("s3")


@pytest.fixture(scope="session")
def mlflow_uri(session_backing: SessionBacking, s3_environment: Mapping[str, str]) -> str:
    """Address of a real MLflow server that keeps artefacts on the session's S3 server."""
    return session_backing.environment("mlflow")["MLFLOW_TRACKING_URI"]
