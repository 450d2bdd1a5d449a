"""What a process has imported once it serves: every import is paid for at a cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINING = {"xgboost", "sklearn", "pandas", "mlflow", "pyarrow", "duckdb", "matplotlib", "scipy", "onnx", "boto3"}
TOOLS = {"aiohttp", "typer", "rich", "yaml", "hypothesis", "pytest"}
HEAVY = {"evidently", "deltalake", "numpy", "fastapi", "redis", "mangum", "confluent_kafka"}
CLIENTS = {"redis", "confluent_kafka", "numpy", "onnxruntime", "urllib3", "fastapi", "starlette", "functions_framework"}

LOAD = """
import json, sys
{load}
print(json.dumps(sorted(sys.modules)))
"""
ENTRY = "import functions.{function}.main"
AS_A_HOST_DOES = """
import functions_framework.aio
functions_framework.aio.create_asgi_app("{function}", "functions/{function}/main.py")
"""


@cache
def modules_after(load: str) -> frozenset[str]:
    """Top-level modules of a fresh interpreter after it has run the code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FRAUD_", "COVERAGE"))}
    run = subprocess.run(
        [sys.executable, "-c", LOAD.format(load=load)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return frozenset(name.split(".")[0] for name in json.loads(run.stdout)) | frozenset(json.loads(run.stdout))


@pytest.mark.parametrize("load", [ENTRY, AS_A_HOST_DOES], ids=["imported", "under functions-framework"])
@pytest.mark.parametrize(
    ("function", "forbidden", "needed"),
    [
        ("scorer", TRAINING | TOOLS | {"fastapi"}, {"redis", "onnxruntime", "confluent_kafka"}),
        (
            "feature_updater",
            TRAINING | TOOLS | {"fastapi", "numpy", "onnxruntime", "confluent_kafka", "urllib3", "mangum"},
            {"redis"},
        ),
        ("shadow_scorer", TRAINING | TOOLS | {"fastapi", "redis", "mangum"}, {"onnxruntime", "confluent_kafka"}),
        ("drift", TRAINING | TOOLS | HEAVY, {"functions_framework"}),
        ("promote", TRAINING | TOOLS | HEAVY, {"functions_framework"}),
        ("train", TRAINING | TOOLS | {"fastapi", "redis", "mangum"}, {"functions_framework"}),
        (
            "archiver",
            TRAINING | TOOLS | {"fastapi", "redis", "mangum", "confluent_kafka", "deltalake"},
            {"functions_framework"},
        ),
    ],
)
def test_entry_modules_import_what_they_need_and_no_more(
    load: str, function: str, forbidden: set[str], needed: set[str]
) -> None:
    imported = modules_after(load.format(function=function))
    assert imported & forbidden == set()
    assert needed <= imported


@pytest.mark.parametrize(
    "module",
    [
        "shared.contracts.cloudevents",
        "shared.contracts.decision",
        "shared.contracts.drift",
        "shared.contracts.label",
        "shared.contracts.model",
        "shared.contracts.problems",
        "shared.contracts.shadow",
        "shared.contracts.transaction",
        "shared.features.catalogue",
        "shared.bus.topics",
    ],
)
def test_contracts_and_catalogue_load_no_client(module: str) -> None:
    imported = modules_after(f"import {module}")
    assert imported & (CLIENTS | TRAINING | TOOLS) == set()
    assert module in imported
