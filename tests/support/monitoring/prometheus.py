"""A real Prometheus over a running system."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.features.valkey import free_port
from tests.support.monitoring.dashboards import MONITORING
from tests.support.servers import Process, until


def program(name: str) -> str:
    """Where a program of Prometheus' is: on PATH, or where `make monitoring-tools` puts it.

    Skips the test when it is nowhere.
    """
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"NOT TESTED: there is no {name} on PATH; `make monitoring-tools` fetches it on Debian and Ubuntu")
    return found


class PrometheusApi:
    """The HTTP API of a Prometheus at an address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = urllib3.PoolManager(timeout=10)

    def ask(self, path: str, **fields: str) -> Any:
        """What it answers, the data alone."""
        document = self._http.request("GET", f"{self.url}/api/v1/{path}", fields=fields).json()
        assert document["status"] == "success", (fields, document)
        return document["data"]

    def values(self, expression: str) -> list[float]:
        """The present values of an expression."""
        found = self.ask("query", query=expression)
        samples = [found["result"]] if found["resultType"] == "scalar" else [one["value"] for one in found["result"]]
        return [float(value) for _, value in samples]

    def is_ready(self) -> bool:
        try:
            return self._http.request("GET", f"{self.url}/-/ready", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False


class Prometheus(Process, PrometheusApi):
    """Watches the system of an emulator with the configuration that `make prometheus` uses, once a second."""

    def __init__(self, folder: Path, admin_url: str) -> None:
        port = free_port()
        PrometheusApi.__init__(self, f"http://127.0.0.1:{port}")
        shutil.copytree(MONITORING / "prometheus" / "rules", folder / "rules")
        config = (MONITORING / "prometheus" / "local.yml").read_text()
        for before, after in (("127.0.0.1:8090", admin_url.removeprefix("http://")), ("5s", "1s"), ("4s", "1s")):
            assert before in config
            config = config.replace(before, after)
        (folder / "local.yml").write_text(config)
        options = {"config.file": "local.yml", "storage.tsdb.path": "data", "web.listen-address": f"127.0.0.1:{port}"}
        command = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        Process.__init__(self, command, folder / "log", folder=folder)

    def start(self) -> None:
        super().start()
        until(self._ready, 60, "Prometheus")

    def _ready(self) -> bool:
        if self.died():
            raise RuntimeError(self.logged()[-3_000:])
        return self.is_ready()
