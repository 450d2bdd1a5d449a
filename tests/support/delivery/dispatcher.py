"""The dispatcher as a child process, with manifests of a test's own."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.delivery.kafka import eventually

DEAD_LETTERS = "dead-letters"
QUICK = {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "timeout": "PT5S"}


def _reference(kind: str, version: str, name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": version, "kind": kind, "name": name}}


def service(name: str = "sink") -> dict[str, Any]:
    container = {"image": "dev.local/x:1", "env": [{"name": "FUNCTION_TARGET", "value": "x"}]}
    container["env"].append({"name": "FUNCTION_SOURCE", "value": "functions/x/main.py"})
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def kafka_sink(topic: str) -> dict[str, Any]:
    return {
        "apiVersion": "eventing.knative.dev/v1alpha1",
        "kind": "KafkaSink",
        "metadata": {"name": DEAD_LETTERS},
        "spec": {"bootstrapServers": ["kafka:9092"], "topic": topic, "contentMode": "binary"},
    }


def kafka_source(name: str, *topics: str, delivery: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    sink = _reference("KafkaSink", "eventing.knative.dev/v1alpha1", DEAD_LETTERS)
    return {
        "apiVersion": "sources.knative.dev/v1beta1",
        "kind": "KafkaSource",
        "metadata": {"name": name, "namespace": "fraud"},
        "spec": {
            "bootstrapServers": ["kafka:9092"],
            "topics": list(topics),
            "consumerGroup": f"group-{name}",
            "initialOffset": "earliest",
            "delivery": {"deadLetterSink": sink, **(delivery or QUICK)},
            "sink": _reference("Service", "serving.knative.dev/v1", "sink"),
        }
        | spec,
    }


def ping_source(name: str, schedule: str) -> dict[str, Any]:
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "PingSource",
        "metadata": {"name": name, "namespace": "fraud"},
        "spec": {
            "schedule": schedule,
            "contentType": "application/json",
            "data": '{"run": true}',
            "sink": _reference("Service", "serving.knative.dev/v1", "sink"),
        },
    }


class DispatcherProcess:
    """`python -m shared.emulator.delivery` on a folder of manifests; what it logs is in `home/log`."""

    def __init__(self, home: Path, port: int, broker: str, targets: dict[str, str], *manifests: dict[str, Any]) -> None:
        self.home = home
        self.port = port
        self._broker = broker
        folder = home / "manifests"
        folder.mkdir(parents=True)
        (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests))
        self.point(targets)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def point(self, targets: dict[str, str]) -> None:
        """Exchange the targets file as a whole."""
        partial = self.home / "targets.partial"
        partial.write_text(json.dumps(targets))
        partial.replace(self.home / "targets.json")

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "shared.emulator.delivery", "--manifests", str(self.home / "manifests")]
        command += ["--targets", str(self.home / "targets.json"), "--home", str(self.home), "--port", str(self.port)]
        command += ["--bootstrap-servers", self._broker, *options]
        environment = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, env=environment)
        return self._process

    def start(self, *options: str, ready: bool = True) -> None:
        process = self.launch(*options)
        if ready:
            eventually(lambda: process.poll() is not None or self._ready(), 60, "dispatcher ready")
            assert process.poll() is None, (self.home / "log").read_text()[-4000:]

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return bytes(response.read())

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/status")))

    def source(self, name: str) -> dict[str, Any]:
        return dict(self.status()["kafka_sources"][name])

    def log(self) -> str:
        return (self.home / "log").read_text()

    def _ready(self) -> bool:
        try:
            self.get("/health/readiness")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True
