from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import System
from tests.e2e.starting import fraud, own_environment


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running system of its own, trained as any first one is."""
    environment = own_environment(tmp_path_factory.mktemp("home"))
    try:
        up = fraud(environment, "up", seconds=280)
        assert up.returncode == 0, up.stdout[-2000:] + up.stderr[-2000:]
        yield environment
    finally:
        fraud(environment, "down", seconds=90)


@pytest.fixture(scope="session")
def system(environment: dict[str, str]) -> System:
    return System.find(Path(environment["FRAUD_HOME"]))
