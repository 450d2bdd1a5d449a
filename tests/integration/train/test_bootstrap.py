"""The whole bootstrap against a real MLflow server, on a small history."""

import time

import mlflow
import numpy as np
import pandas as pd
import pytest

from functions.train import publish as publishing
from functions.train.errors import ServiceMissing
from functions.train.job import ENVIRONMENT
from functions.train.learn import train
from functions.train.request import TrainRequest
from functions.train.settings import TrainSettings
from shared.features.catalogue import CATALOGUE
from shared.registry.client import RegistryClient
from shared.registry.follower import ModelFollower
from shared.scoring.bundle import read_bundle
from tests.support.lake.tables import own_lake
from tests.support.registry.mlflow_server import MlflowServer, running_server


@pytest.fixture(scope="module", autouse=True)
def job_environment(s3_environment):
    """The environment of a training, with a lake that nothing has been archived into."""
    empty_lake = own_lake(s3_environment).settings.fraud_lake_uri
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3_environment, "FRAUD_LAKE_URI": empty_lake, **ENVIRONMENT}.items():
            patch.setenv(name, value)
        yield


def settings_for(server, name):
    return TrainSettings(
        mlflow_tracking_uri=server.uri,
        fraud_model_name=name,
        fraud_bootstrap_transactions=80_000,
        fraud_bootstrap_days=60,
        # So little fraud proves little.
        fraud_least_precision=0.3,
        fraud_least_recall=0.1,
        fraud_champion_tolerance=0.5,
        fraud_registry_wait_seconds=60,
    )


@pytest.fixture(scope="module")
def server():
    return running_server()


@pytest.fixture(scope="module")
def trained(server):
    """A first bootstrap: its settings and its result."""
    settings = settings_for(server, "fraud")
    return settings, train(TrainRequest(), settings)


@pytest.fixture(scope="module")
def registry(server):
    return RegistryClient(server.uri)


def test_registers_a_champion_and_a_challenger(trained, registry):
    _, result = trained
    assert [(entry.version, entry.alias) for entry in result.registered] == [("1", "champion"), ("2", "challenger")]
    found = {alias: version.version for version in registry.versions("fraud") for alias in version.aliases}
    assert found == {"champion": "1", "challenger": "2"}
    assert {version.tags["registration"] for version in registry.versions("fraud")} == {"complete"}


def test_the_scorers_follower_takes_it(trained, server, tmp_path):
    follower = ModelFollower(RegistryClient(server.uri), tmp_path)
    follower.poll()
    current = follower.current
    assert current.predictor.features == CATALOGUE.names
    assert current.request_only.features == CATALOGUE.request_only
    assert current.bundle.manifest.catalogue_version == CATALOGUE.version
    assert current.policy.review_at is not None


def test_the_serving_form_scores_as_the_logged_original_does(trained, server, registry):
    mlflow.set_tracking_uri(server.uri)
    for alias in ("champion", "challenger"):
        served = read_bundle(registry.download_bundle(registry.version_by_alias("fraud", alias)))
        original = mlflow.pyfunc.load_model(f"models:/fraud@{alias}")
        golden = served.main.card.golden
        rows = np.array([[np.nan if value is None else value for value in row] for row in golden.rows])
        predicted = original.predict(pd.DataFrame(rows, columns=list(CATALOGUE.names)))
        scores = served.main.predictor.score(rows.astype(np.float32))
        np.testing.assert_allclose(scores, predicted, atol=1e-6, rtol=0)
        example = original.input_example
        assert list(example.columns) == list(CATALOGUE.names)
        np.testing.assert_allclose(
            served.main.predictor.score(example.to_numpy(np.float32)), original.predict(example), atol=1e-6, rtol=0
        )


def test_champion_and_challenger_are_different_models(trained, registry):
    bundles = [
        read_bundle(registry.download_bundle(registry.version_by_alias("fraud", alias)))
        for alias in ("champion", "challenger")
    ]
    rows = np.random.default_rng(1).uniform(0, 100_000, (200, len(CATALOGUE))).astype(np.float32)
    first, second = (bundle.main.predictor.score(rows) for bundle in bundles)
    assert np.abs(first - second).max() > 0.001


def test_the_run_holds_what_a_reviewer_needs(trained, server):
    _, result = trained
    client = mlflow.MlflowClient(server.uri)
    run = client.get_run(result.registered[0].run_id)
    assert run.info.status == "FINISHED"
    assert {"learning_rate", "max_depth", "trees", "policy_version"} <= run.data.params.keys()
    metrics = run.data.metrics
    for name in ("average_precision", "roc_auc", "recall_review", "request_only_average_precision", "train_roc_auc"):
        assert 0 < metrics[name] <= 1
    assert metrics["average_precision_lower"] < metrics["average_precision"] < metrics["average_precision_upper"]
    assert metrics["request_only_average_precision"] < metrics["average_precision"]
    assert run.data.tags["catalogue_version"] == CATALOGUE.version
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["dataset_digest"][:36]
    pictures = {artifact.path for artifact in client.list_artifacts(run.info.run_id, "pictures")}
    names = ("precision_recall", "roc", "calibration", "scores", "importances")
    assert pictures == {f"pictures/{name}.png" for name in names}
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id, "serving")} == {"serving/bundle.zip"}


def test_a_champion_leaves_nothing_to_bootstrap(trained, registry):
    settings, _ = trained
    started = time.monotonic()
    result = train(TrainRequest(), settings)
    assert result.registered == ()
    assert "champion 1 stays without a challenger: the lake holds nothing to learn from yet" in result.message
    assert time.monotonic() - started < 5
    assert len(registry.versions("fraud")) == 2


def test_asked_for_a_bootstrap_it_makes_a_new_challenger_of_another_history(trained, registry):
    settings, _ = trained
    [made] = train(TrainRequest(bootstrap=True), settings).registered
    assert made.alias == "challenger"
    versions = {version.version: version for version in registry.versions("fraud")}
    assert versions[made.version].aliases == ("challenger",)
    assert versions["1"].aliases == ("champion",)
    assert versions["2"].aliases == ()
    assert versions[made.version].tags["dataset_digest"] != versions["2"].tags["dataset_digest"]


def test_the_same_seed_gives_the_same_bundle_byte_for_byte(trained, server, registry):
    settings, _ = trained
    again = settings.model_copy(update={"fraud_training_threads": 1})
    [first] = train(TrainRequest(bootstrap=True, seed=12), settings).registered
    [second] = train(TrainRequest(bootstrap=True, seed=12), again).registered
    versions = {version.version: version for version in registry.versions("fraud")}
    assert versions[first.version].bundle_sha256 == versions[second.version].bundle_sha256
    assert versions[first.version].run_id != versions[second.version].run_id


@pytest.mark.timeout(600)  # two starts of a server
def test_mlflow_going_away_registers_nothing_and_the_next_run_is_clean(tmp_path, monkeypatch):
    folder = tmp_path / "server"
    folder.mkdir()
    own = MlflowServer(folder)
    settings = settings_for(own, "fraud")
    own.start()  # it comes up while the training works on its data
    real = publishing.log_files
    logged = []

    def stop_at_the_second(candidate, dataset):
        logged.append(candidate.alias)
        if len(logged) == 2:
            own.stop()
        real(candidate, dataset)

    try:
        monkeypatch.setattr(publishing, "log_files", stop_at_the_second)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(ServiceMissing, match="away"):
            train(TrainRequest(), settings)
        assert logged == ["champion", "challenger"]
        monkeypatch.setattr(publishing, "log_files", real)
        own.start()
        own.wait()
        assert RegistryClient(own.uri).versions("fraud") == []
        result = train(TrainRequest(), settings)
        assert [(entry.version, entry.alias) for entry in result.registered] == [("1", "champion"), ("2", "challenger")]
    finally:
        own.stop()


def test_a_registry_that_never_comes_is_a_clear_error(tmp_path):
    settings = TrainSettings(
        mlflow_tracking_uri="http://127.0.0.1:9",
        fraud_bootstrap_transactions=40_000,
        fraud_bootstrap_days=60,
        fraud_registry_wait_seconds=1,
    )
    with pytest.raises(ServiceMissing, match="did not answer within 1 s"):
        train(TrainRequest(bootstrap=True), settings)
