"""The registered champion, served by MLflow itself, answers with the scorer's score."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
import urllib3
import xgboost

from functions.train.bootstrap import first_models
from functions.train.job import ENVIRONMENT
from functions.train.publish import publish
from functions.train.settings import TrainSettings
from shared.registry.client import RegistryClient
from shared.scoring.bundle import read_bundle
from tests.support.registry.mlflow_server import running_server
from tests.support.training import NAMES, learnable_dataset

NAME = "served"


@pytest.fixture(scope="module", autouse=True)
def job_environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def settings():
    return TrainSettings(
        mlflow_tracking_uri=running_server().uri,
        fraud_model_name=NAME,
        fraud_training_threads=1,
        fraud_least_precision=0.6,  # what so few frauds can prove
        fraud_least_recall=0.2,
        fraud_champion_tolerance=0.5,
    )


@pytest.fixture(scope="module")
def registered(settings):
    """A champion and a challenger of an easy data set, and that data set."""
    dataset = learnable_dataset()
    candidates = first_models(dataset, champion=True, seed=1, settings=settings)
    return publish(settings.mlflow_tracking_uri, NAME, candidates, dataset), candidates, dataset


@pytest.fixture(scope="module")
def served(registered, settings):
    """The scorer's form of the champion."""
    client = RegistryClient(settings.mlflow_tracking_uri)
    return read_bundle(client.download_bundle(client.version_by_alias(NAME, "champion"))).main.predictor


def test_mlflow_serves_the_scorers_score(registered, served, settings, tmp_path):
    example = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").input_example
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{NAME}@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # MLflow starts uvicorn by its name: the environment's own comes first, as in an activated one.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if urllib3.request("GET", f"http://127.0.0.1:{port}/ping", retries=False, timeout=2).status == 200:
                    break
            except urllib3.exceptions.HTTPError:
                pass
            said = (tmp_path / "log").read_text()[-3000:]
            assert server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        body = json.dumps({"dataframe_split": json.loads(example.to_json(orient="split", double_precision=15))})
        answer = urllib3.request(
            "POST",
            f"http://127.0.0.1:{port}/invocations",
            body=body,
            headers={"content-type": "application/json"},
            timeout=60,
        )
        assert answer.status == 200, answer.data
        scores = json.loads(answer.data)["predictions"]
        np.testing.assert_allclose(scores, served.score(example.to_numpy(np.float32)), atol=1e-6, rtol=0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_the_booster_loads_as_xgboosts_own_with_the_margins_of_the_scorer(registered, served, settings):
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    booster = mlflow.xgboost.load_model(f"models:/{NAME}@champion")
    rows = registered[2].test.features[:200]
    margins = booster.predict(xgboost.DMatrix(rows, feature_names=list(NAMES)), output_margin=True)
    np.testing.assert_array_equal(margins, served.margins(rows))
    calibrated = [served.calibration.probability(float(margin)) for margin in margins]
    np.testing.assert_allclose(calibrated, served.score(rows), atol=1e-6, rtol=0)


def test_the_run_has_the_reference_for_drift_the_card_and_the_environment(registered, settings, tmp_path):
    versions, candidates, dataset = registered
    client = mlflow.MlflowClient(settings.mlflow_tracking_uri)
    run_id = versions[0].run_id
    reference = pq.read_table(client.download_artifacts(run_id, "reference/reference.parquet", str(tmp_path)))
    assert reference.num_rows == len(dataset.policy) + len(dataset.test)
    assert {f"f_{name}" for name in NAMES} | {"score", "decision", "event_time_ms"} <= set(reference.schema.names)
    policy = candidates[0].main.policy
    for row in reference.select(["score", "decision"]).slice(0, 500).to_pylist():
        assert row["decision"] == policy.decide(row["score"])
    text = Path(client.download_artifacts(run_id, "model_card.md", str(tmp_path))).read_text()
    assert dataset.digest in text
    assert "precision: passed" in text
    environment = Path(client.download_artifacts(run_id, "environment.json", str(tmp_path))).read_text()
    assert json.loads(environment)["packages"]["mlflow"] == mlflow.__version__
    run = client.get_run(run_id)
    assert run.data.tags["gates"] == "passed"
    assert run.data.tags["dataset_digest"] == dataset.digest
    assert run.data.params["calibration"] in ("platt", "isotonic")
    assert abs(sum(value for name, value in run.data.metrics.items() if name.startswith("importance_")) - 1) < 1e-6
