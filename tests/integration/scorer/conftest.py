"""A real scorer process with a real feature store; no registry, no broker: its model is a disk copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.registry.disk_copy import DiskCopy, StoredModel
from tests.support.features.valkey import free_port
from tests.support.scoring.small_bundle import small_bundle
from tests.support.servers import FunctionProcess, Valkey


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture(scope="module")
def scorer(store: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionProcess]:
    folder: Path = tmp_path_factory.mktemp("scorer")
    bundle = small_bundle()
    stored = StoredModel("7", "run-7", hashlib.sha256(bundle).hexdigest(), bundle)
    DiskCopy(folder / "state" / "models" / "fraud" / "champion").store(stored)
    environment = {
        "REDIS_URL": store.url,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",  # nobody there
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "FRAUD_STATE_DIR": str(folder / "state"),
        "FRAUD_STORE_TIMEOUT_MS": "500",  # a busy machine must not make answers degraded
    }
    with FunctionProcess.under_uvicorn("scorer", folder, environment) as process:
        process.wait("/health/readiness")
        yield process
