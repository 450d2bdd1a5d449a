"""Real backing services for tests: one of each per session, started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import redis

from tests.support.backing import SessionBacking


@pytest.fixture(scope="session")
def session_backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionBacking]:
    """The session's services; nothing runs until one is asked for."""
    backing = SessionBacking(tmp_path_factory.mktemp("backing"))
    yield backing
    backing.stop()


@pytest.fixture
def redis_url(session_backing: SessionBacking) -> str:
    """URL of a real Valkey, empty at the start of each test."""
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
    """`AWS_*` variables of a real S3 server with the buckets `fraud-lake` and `mlflow`."""
    return session_backing.environment("s3")


@pytest.fixture(scope="session")
def mlflow_uri(session_backing: SessionBacking, s3_environment: Mapping[str, str]) -> str:
    """Address of a real MLflow server that keeps artefacts on the session's S3 server."""
    return session_backing.environment("mlflow")["MLFLOW_TRACKING_URI"]
