"""Versions in a real MLflow registry, with a serving bundle and whatever else their run logged."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from shared.registry.client import SHA256_TAG


def register_version(
    uri: str, name: str, bundle: bytes, *aliases: str, files: Mapping[str, bytes] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Register a version under the aliases and return its number."""
    client = mlflow.MlflowClient(uri)
    run = client.create_run("0")
    with tempfile.TemporaryDirectory() as folder:
        for path, content in {"serving/bundle.zip": bundle, **(files or {})}.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            client.log_artifact(run.info.run_id, str(file), path.rpartition("/")[0])
    with suppress(MlflowException):  # it is there already when a second version comes
        client.create_registered_model(name)
    tagged = {SHA256_TAG: hashlib.sha256(bundle).hexdigest(), **(tags or {})}
    source = f"runs:/{run.info.run_id}/serving"
    version = client.create_model_version(name, source, run.info.run_id, tags=tagged, await_creation_for=None)
    for alias in aliases:
        client.set_registered_model_alias(name, alias, version.version)
    return str(version.version)
