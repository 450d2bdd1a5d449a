"""`fraud models` and `fraud train` as a user runs them, with registry and train function faked at the HTTP level.

The records of the function's runs are faked where they are read: they are kept in S3.
"""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer
from typer.testing import CliRunner

from shared.cli import asking, models, train
from shared.cli.output import CommandFailed
from shared.registry.client import API
from shared.runs.record import RunRecord, Trigger

TAGS = {
    "average_precision": "0.785",
    "request_only_average_precision": "0.3",
    "decline_at": "0.55",
    "review_at": "0.09",
}


class System:
    """A registry, and a train function that registers a challenger when it is asked to bootstrap."""

    def __init__(self):
        self.versions = [self.version(1, "champion")]
        self.asked = []
        self.runs = []
        self.train_status = 202
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith(f"{API}/registered-models/get"):
                    aliases = [{"alias": v["alias"], "version": v["version"]} for v in system.versions]
                    self.answer(200, {"registered_model": {"aliases": aliases}})
                elif self.path.startswith(f"{API}/model-versions/search"):
                    self.answer(200, {"model_versions": system.versions})
                else:
                    self.answer(404, {})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                system.asked.append((self.headers["ce-type"], body))
                made = system.train_status == 202 and body.get("bootstrap", False)
                if made:
                    system.versions.append(system.version(2, "challenger"))
                system.runs.append(system.record(self.headers["ce-id"], [{"version": "2"}] if made else []))
                self.answer(system.train_status, {"detail": "a training is running already"})

            def answer(self, status, document):
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @staticmethod
    def record(event_id, registered):
        now = datetime.now(UTC)
        return RunRecord(
            run_id="run",
            function="train",
            trigger=Trigger(kind="manual", id=event_id),
            started=now,
            deadline=now + timedelta(hours=1),
            finished=now,
            outcome="done" if registered else "skipped",
            outputs={"registered": registered},
        )

    @staticmethod
    def version(number, alias):
        tags = [{"key": key, "value": value} for key, value in TAGS.items()]
        return {
            "name": "fraud",
            "version": str(number),
            "run_id": f"run-{number}",
            "creation_timestamp": 1_795_000_000_000,
            "alias": alias,
            "tags": tags,
        }


@pytest.fixture
def system(monkeypatch):
    made = System()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.url)
    monkeypatch.setattr(asking, "_runs", lambda _function, _since: made.runs)
    yield made
    made.http.shutdown()
    made.http.server_close()


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments)


def test_models_are_listed_with_alias_and_figures(system):
    found = run(models.command)
    assert found.exit_code == 0
    assert "champion" in found.stdout
    for figure in ("0.7850", "0.3000", "0.5500", "0.0900"):
        assert figure in found.stdout


def test_models_as_json_are_one_document(system):
    system.versions[0]["tags"] = []
    document = json.loads(run(models.command, "--json").stdout)
    [version] = document["versions"]
    assert (version["version"], version["aliases"], version["average_precision"]) == ("1", ["champion"], None)


def test_models_show_what_was_decided_of_them_and_why(system):
    tags = {"promotion": "rejected", "promotion_reasons": '["average precision worse: -0.2"]'}
    system.versions[0]["tags"] += [{"key": key, "value": value} for key, value in tags.items()]
    found = run(models.command)
    assert "version 1 rejected: average precision worse: -0.2" in found.stdout
    [version] = json.loads(run(models.command, "--json").stdout)["versions"]
    assert (version["promotion"], version["reasons"]) == ("rejected", ["average precision worse: -0.2"])


def test_no_models_and_no_registry_are_failures_with_a_reason(system):
    system.versions.clear()
    assert "fraud train" in str(run(models.command).exception)
    failed = run(models.command, "--registry", "http://127.0.0.1:9").exception
    assert isinstance(failed, CommandFailed)
    assert "http://127.0.0.1:9" in str(failed)


def test_training_shows_what_was_registered(system):
    done = run(train.command, "--url", system.url, "--bootstrap", "--seed", "5", "--json")
    assert done.exit_code == 0
    assert system.asked == [("dev.knative.sources.ping", {"bootstrap": True, "seed": 5, "insist": True})]
    document = json.loads(done.stdout)
    assert [(version["version"], version["aliases"]) for version in document["registered"]] == [("2", ["challenger"])]
    assert document["champion"] == "1"


def test_training_with_nothing_to_do_says_so(system):
    done = run(train.command, "--url", system.url)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "nothing was registered; champion 1 stays" in done.stderr


def test_a_refused_training_fails_with_the_reason(system):
    system.train_status = 503
    failed = run(train.command, "--url", system.url)
    assert failed.exit_code == 1
    assert "503: a training is running already" in str(failed.exception)
