"""The client against canned answers: what MLflow says in each case, and what it never says."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.registry.client import API, ARTIFACT_API, RegistryClient
from shared.registry.errors import RegistryUnavailable
from shared.scoring.errors import BundleError

BUNDLE = b"the bundle"
VERSION = {
    "name": "fraud",
    "version": "3",
    "run_id": "abc",
    "creation_timestamp": 1_795_000_000_000,
    "tags": [{"key": "bundle_sha256", "value": hashlib.sha256(BUNDLE).hexdigest()}, {"key": "empty"}],
}
RUN = {"run": {"info": {"artifact_uri": "mlflow-artifacts:/1/abc/artifacts"}}}
ALIAS = f"{API}/registered-models/alias"
ARTIFACT = f"{ARTIFACT_API}/1/abc/artifacts/serving/bundle.zip"


class Answers(dict):
    """path -> (status, body) or a function of the query; keeps what was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []


@pytest.fixture
def server():
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answers.asked.append((parts.path, query, dict(self.headers)))
            answer = answers.get(parts.path, (404, {"error_code": "ENDPOINT_NOT_FOUND"}))
            status, body = answer(query) if callable(answer) else answer
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    answers.uri = f"http://127.0.0.1:{http.server_port}"
    yield answers
    http.shutdown()
    http.server_close()


@pytest.fixture
def client(server):
    return RegistryClient(server.uri)


def version(client, server):
    server[ALIAS] = (200, {"model_version": VERSION})
    return client.version_by_alias("fraud", "champion")


def test_an_alias_is_looked_up(client, server):
    found = version(client, server)
    assert (found.version, found.run_id, found.aliases) == ("3", "abc", ("champion",))
    assert found.bundle_sha256 == hashlib.sha256(BUNDLE).hexdigest()
    assert server.asked[0][1] == {"name": "fraud", "alias": "champion"}


@pytest.mark.parametrize(
    "answer",
    [
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model with name=fraud not found"}),
        (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias champion not found."}),
    ],
    ids=["model", "alias"],
)
def test_what_does_not_exist_is_none(client, server, answer):
    server[ALIAS] = answer
    assert client.version_by_alias("fraud", "champion") is None


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error_code": "INTERNAL_ERROR"}),
        (503, b"<html>try later</html>"),
        (403, b"Invalid Host header"),
        (200, b""),
        (200, {}),
        (200, []),
        (200, {"model_version": {"name": "fraud"}}),
        (200, {"model_version": {**VERSION, "version": "latest"}}),
        (200, {"model_version": {**VERSION, "tags": ["x"]}}),
        (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid value for parameter 'alias'"}),
        (404, b"not MLflow at all"),
    ],
)
def test_any_other_answer_is_an_outage_and_never_an_absent_alias(client, server, answer):
    server[ALIAS] = answer
    with pytest.raises(RegistryUnavailable):
        client.version_by_alias("fraud", "champion")


def test_nobody_listening_is_an_outage():
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        RegistryClient("http://127.0.0.1:9").version_by_alias("fraud", "champion")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "127.0.0.1:5000", "http://"])
def test_an_address_that_is_no_server_is_refused(uri):
    with pytest.raises(ValueError, match="http"):
        RegistryClient(uri)


def test_credentials_are_sent_and_a_path_prefix_kept(server):
    prefixed = "/mlflow" + ALIAS
    server[prefixed] = (200, {"model_version": VERSION})
    address = server.uri.replace("http://", "http://ann:secret@") + "/mlflow/"
    assert RegistryClient(address).version_by_alias("fraud", "champion") is not None
    headers = {name.lower(): value for name, value in server.asked[0][2].items()}
    assert headers["authorization"] == "Basic YW5uOnNlY3JldA=="


def test_the_bundle_is_downloaded_and_checked(client, server):
    server[f"{API}/runs/get"] = (200, RUN)
    server[ARTIFACT] = (200, BUNDLE)
    assert client.download_bundle(version(client, server)) == BUNDLE


def test_another_bundle_than_the_registered_one_is_refused(client, server):
    server[f"{API}/runs/get"] = (200, RUN)
    server[ARTIFACT] = (200, BUNDLE + b"!")
    with pytest.raises(BundleError, match="corrupt"):
        client.download_bundle(version(client, server))


def test_a_missing_bundle_is_named(client, server):
    server[f"{API}/runs/get"] = (200, RUN)
    with pytest.raises(BundleError, match=r"serving/bundle\.zip is missing"):
        client.download_bundle(version(client, server))


def test_storage_away_is_an_outage(client, server):
    server[f"{API}/runs/get"] = (200, RUN)
    server[ARTIFACT] = (500, {"error_code": "INTERNAL_ERROR"})
    with pytest.raises(RegistryUnavailable):
        client.download_bundle(version(client, server))


def test_artifacts_the_server_does_not_hand_out_are_refused(client, server):
    server[f"{API}/runs/get"] = (200, {"run": {"info": {"artifact_uri": "s3://bucket/1/abc/artifacts"}}})
    with pytest.raises(BundleError, match="s3://bucket"):
        client.download_bundle(version(client, server))


def test_a_version_without_a_digest_is_refused(client, server):
    server[ALIAS] = (200, {"model_version": {**VERSION, "tags": []}})
    found = client.version_by_alias("fraud", "champion")
    with pytest.raises(BundleError, match="bundle_sha256"):
        client.download_bundle(found)


def test_all_versions_over_all_pages_newest_first(client, server):
    server[f"{API}/registered-models/get"] = (
        200,
        {"registered_model": {"aliases": [{"alias": "champion", "version": "2"}]}},
    )
    pages = {
        "": {"model_versions": [{**VERSION, "version": "10"}], "next_page_token": "more"},
        "more": {"model_versions": [{**VERSION, "version": "2"}, {**VERSION, "version": "9"}]},
    }
    server[f"{API}/model-versions/search"] = lambda query: (200, pages[query.get("page_token", "")])
    found = client.versions("fraud")
    assert [(entry.version, entry.aliases) for entry in found] == [("10", ()), ("9", ()), ("2", ("champion",))]


def test_a_model_that_does_not_exist_has_no_versions(client, server):
    server[f"{API}/registered-models/get"] = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    assert client.versions("fraud") == []
