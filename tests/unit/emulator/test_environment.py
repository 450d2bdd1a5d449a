from pathlib import Path

import pytest

from shared.emulator.environment import container_environment, niceness, service_environment
from shared.emulator.manifests import load_manifests
from tests.support.emulator.manifests import service, write


@pytest.mark.parametrize(
    ("cpu", "nice"), [(None, 0), ("2", 0), ("1", 0), ("800m", 1), ("500m", 3), ("250m", 6), ("100m", 10), ("1m", 19)]
)
def test_requested_cpu_becomes_a_weight(tmp_path: Path, cpu: str | None, nice: int) -> None:
    container = {"resources": {"requests": {"cpu": cpu}}} if cpu else {}
    assert niceness(load_manifests(write(tmp_path, service(container=container))).services["tiny"].container) == nice


def test_container_gets_its_declared_environment_and_little_of_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    manifests = load_manifests(
        write(
            tmp_path,
            service(
                env={
                    "FULL": "http://tiny.fraud.svc.cluster.local/v1",
                    "SHORT": "http://tiny.fraud.svc:80",
                    "OTHER": "http://minio.fraud.svc.cluster.local:9000",
                    "REDIS_URL": "redis://redis:6379",
                }
            ),
        )
    )
    tiny = manifests.services["tiny"]
    values = container_environment(
        manifests, tiny, tiny.container, {"REDIS_URL": "redis://127.0.0.1:1"}, {"tiny": "http://127.0.0.1:2"}
    )
    assert values["FULL"] == "http://127.0.0.1:2/v1"
    assert values["SHORT"] == "http://127.0.0.1:2"
    assert values["OTHER"] == "http://minio.fraud.svc.cluster.local:9000"
    assert values["REDIS_URL"] == "redis://127.0.0.1:1"
    assert "SECRET_OF_THE_HOST" not in values


def test_knatives_runtime_contract(tmp_path: Path) -> None:
    tiny = load_manifests(write(tmp_path, service())).services["tiny"]
    assert service_environment(tiny, 8001) == {
        "PORT": "8001",
        "K_SERVICE": "tiny",
        "K_REVISION": "tiny-00001",
        "K_CONFIGURATION": "tiny",
    }
