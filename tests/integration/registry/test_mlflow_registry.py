"""Client and follower against a real MLflow server."""

import contextlib
import hashlib
import time
import uuid

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from shared.registry.client import SHA256_TAG, RegistryClient
from shared.registry.follower import Callbacks, ModelFollower
from shared.scoring.errors import BundleError
from shared.scoring.policy import Policy
from tests.support.registry.mlflow_server import MlflowServer, running_server
from tests.support.scoring.small_bundle import small_bundle


@pytest.fixture(scope="module")
def server() -> MlflowServer:
    return running_server()


@pytest.fixture
def name(server):
    return f"fraud-{uuid.uuid4().hex[:8]}"


def register(server, tmp_path, name, bundle, *aliases, sha256=None):
    mlflow.set_tracking_uri(server.uri)
    client = mlflow.MlflowClient(server.uri)
    run = client.create_run("0")
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle)
    client.log_artifact(run.info.run_id, str(path), "serving")
    with contextlib.suppress(MlflowException):  # it is there already when a second version comes
        client.create_registered_model(name)
    tags = {SHA256_TAG: sha256 or hashlib.sha256(bundle).hexdigest()}
    version = client.create_model_version(name, f"runs:/{run.info.run_id}/serving", run.info.run_id, tags=tags)
    for alias in aliases:
        client.set_registered_model_alias(name, alias, version.version)
    return str(version.version)


def test_absent_model_and_absent_alias_are_none(server, tmp_path, name):
    client = RegistryClient(server.uri)
    assert client.version_by_alias(name, "champion") is None
    assert client.versions(name) == []
    register(server, tmp_path, name, small_bundle(), "challenger")
    assert client.version_by_alias(name, "champion") is None


def test_what_was_registered_is_found_and_downloaded(server, tmp_path, name):
    bundle = small_bundle()
    register(server, tmp_path, name, bundle, "champion", "previous")
    register(server, tmp_path, name, small_bundle(policy=Policy(0.7, 0.2)))
    client = RegistryClient(server.uri)
    champion = client.version_by_alias(name, "champion")
    assert champion is not None
    assert client.download_bundle(champion) == bundle
    assert [(found.version, found.aliases) for found in client.versions(name)] == [
        ("2", ()),
        ("1", ("champion", "previous")),
    ]
    assert client.versions(name)[1].bundle_sha256 == champion.bundle_sha256


def test_a_bundle_changed_on_the_server_is_refused(server, tmp_path, name):
    register(server, tmp_path, name, small_bundle(), "champion", sha256="0" * 64)
    client = RegistryClient(server.uri)
    champion = client.version_by_alias(name, "champion")
    assert champion is not None
    with pytest.raises(BundleError, match="corrupt"):
        client.download_bundle(champion)


def test_the_follower_swaps_rides_out_an_outage_and_starts_cold_without_the_server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    own = MlflowServer(folder)
    errors, swapped = [], []
    callbacks = Callbacks(on_swap=lambda current: swapped.append(current.version), on_error=errors.append)
    follower = ModelFollower(RegistryClient(own.uri), tmp_path / "replica", poll_s=0.05, callbacks=callbacks)
    try:
        follower.start()  # before the server, as when everything comes up together
        own.start()
        own.wait()
        register(own, tmp_path, "fraud", small_bundle(), "champion")
        assert follower.wait(60).version == "1"
        register(own, tmp_path, "fraud", small_bundle(policy=Policy(0.7, 0.2)), "champion")
        poll_until(lambda: follower.current.version == "2")
        assert follower.current.policy.decline_at == 0.7
        own.stop()
        errors.clear()
        poll_until(lambda: bool(errors))
        assert follower.current.version == "2"
        cold = ModelFollower(RegistryClient(own.uri), tmp_path / "replica", poll_s=0.05)
        cold.start()
        assert cold.current.version == "2"
        cold.stop()
    finally:
        follower.stop()
        own.stop()
    assert swapped == ["1", "2"]


def poll_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
