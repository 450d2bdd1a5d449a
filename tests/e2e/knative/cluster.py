"""The cluster that the kubeconfig names, as the checks need it: its objects, its pods, its services from outside."""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from shared.backing.ports import free_ports

ROOT = Path(__file__).parents[3]
NAMESPACE = "fraud"
KIND_CONTEXT = "kind-fraud"
KIND_INGRESS = f"http://127.0.0.1:{os.environ.get('HTTP_PORT') or 8090}"
KAFKA_PORT = 9094  # what the broker tells clients outside the cluster
SERVICE_LABEL = "serving.knative.dev/service"
_NOTICED_SECONDS = 3.0  # the webhook watches its settings
Object = dict[str, Any]


class Refused(RuntimeError):
    """A kubectl command failed; the message is its error output."""


@dataclass
class Cluster:
    """One cluster.

    Attributes:
        context: Its name in the kubeconfig.
        ingress: Address of its ingress from here.
    """

    context: str
    ingress: str
    _api: str = ""
    _http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(timeout=10.0, retries=False))

    def kubectl(
        self, *arguments: str, stdin: str | None = None, timeout: float = 120, namespace: str | None = NAMESPACE
    ) -> str:
        """Run kubectl in our namespace, or where its objects say (None), and return what it printed.

        Raises:
            Refused: It failed.
        """
        where = ["--namespace", namespace] if namespace else []
        command = ["kubectl", "--context", self.context, *where, *arguments]
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        if ended.returncode:
            raise Refused(f"kubectl {' '.join(arguments[:4])}: {ended.stderr.strip()}")
        return ended.stdout

    @contextmanager
    def watched(self) -> Iterator[Cluster]:
        """Read objects through one long-lived connection, which costs the machine little."""
        [port] = free_ports(1)
        command = ["kubectl", "--context", self.context, "proxy", f"--port={port}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as proxy:
            self._api = f"http://127.0.0.1:{port}"
            try:
                until(lambda: self.get("/readyz", parse=False), 30, "the API of the cluster")
                yield self
            finally:
                proxy.terminate()

    def get(self, path: str, *, parse: bool = True) -> Any:
        """Read from the cluster's API."""
        answer = self._http.request("GET", f"{self._api}{path}")
        if answer.status != 200:
            raise Refused(f"{path}: {answer.status}")
        return json.loads(answer.data) if parse else answer.data.decode()

    def pods(self, selector: str) -> list[Object]:
        """Pods that are not being deleted."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}"
        return [pod for pod in self.get(path)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def replicas(self, service: str) -> int:
        """Pods of a service that take requests."""
        return sum(map(is_ready, self.pods(f"{SERVICE_LABEL}={service}")))

    def knows(self, group: str, version: str, kind: str) -> bool:
        """Whether the cluster has such objects."""
        try:
            resources = self.get(f"/apis/{group}/{version}")["resources"]
        except Refused:
            return False
        return any(one["kind"] == kind for one in resources)

    @contextmanager
    def feature(self, name: str) -> Iterator[None]:
        """Turn one of Knative Serving's features on for a while."""
        path = "/api/v1/namespaces/knative-serving/configmaps/config-features"
        before = self.get(path).get("data", {}).get(name)

        def switch(value: str | None) -> None:
            patch = json.dumps({"data": {name: value}})
            self.kubectl("patch", "cm", "config-features", "--type", "merge", "-p", patch, namespace="knative-serving")
            time.sleep(_NOTICED_SECONDS)

        switch("enabled")
        try:
            yield
        finally:
            switch(before)

    def service(self, name: str) -> Object:
        path = f"/apis/serving.knative.dev/v1/namespaces/{NAMESPACE}/services/{name}"
        return dict(self.get(path))

    def host(self, service: str) -> str:
        """The name by which the ingress knows a service."""
        return str(self.service(service)["status"]["url"]).split("://", 1)[1]

    def secret(self, name: str) -> dict[str, str]:
        data = json.loads(self.kubectl("get", "secret", name, "-o", "json"))["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def annotate(self, service: str, key: str, value: str) -> None:
        """Change a template's annotation, which makes a new revision."""
        self.patch_template(service, {"metadata": {"annotations": {key: value}}})

    def patch_template(self, service: str, change: Object) -> None:
        patch = json.dumps({"spec": {"template": change}})
        self.kubectl("patch", "ksvc", service, "--type", "merge", "-p", patch)

    @contextmanager
    def forwarded(self, target: str, port: int, local: int | None = None, namespace: str = NAMESPACE) -> Iterator[int]:
        """Reach a port of the cluster from here, also after the pod behind it was replaced; gives the local port."""
        number = local or free_ports(1)[0]
        command = ["kubectl", "--context", self.context, "--namespace", namespace, "port-forward", target]
        forward = _Kept([*command, f"{number}:{port}"])
        forward.start()
        try:
            until(lambda: _connects(number), 60, f"{target} on port {number}")
            yield number
        finally:
            forward.end()


class _Kept(threading.Thread):
    """A command that is started again whenever it ends."""

    def __init__(self, command: list[str]) -> None:
        super().__init__(daemon=True)
        self._command = command
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self._ending.is_set():
            self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self._process.wait()
            self._ending.wait(0.3)

    def end(self) -> None:
        self._ending.set()
        if self._process is not None:
            self._process.terminate()
        self.join(10)


def _connects(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until a condition holds and return what it gave.

    Raises:
        TimeoutError: It did not in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        found, reason = None, ""
        try:
            found = condition()
        except (Refused, urllib3.exceptions.HTTPError, OSError, LookupError) as error:
            reason = f": {error}"
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}{reason}")
        time.sleep(0.3)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options by which every check finds its cluster."""
    parser.add_argument("--context", default=os.environ.get("CONTEXT") or KIND_CONTEXT, help="%(default)s")
    parser.add_argument("--ingress", default=os.environ.get("INGRESS") or KIND_INGRESS, help="%(default)s")


def chosen(options: argparse.Namespace) -> Cluster:
    return Cluster(options.context, options.ingress.rstrip("/"))
