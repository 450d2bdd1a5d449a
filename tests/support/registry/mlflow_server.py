"""A real MLflow server for tests: one process, SQLite, artefacts in a folder; one per test run and interpreter."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import urllib3

START_S = 120

# The schema first: MLflow makes it at the first request, and two first requests at once break it for good.
PROGRAM = """
import sys, uvicorn
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
_initialize_tables(create_sqlalchemy_engine(sys.argv[2]))
uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


class MlflowServer:
    """Starts on construction and can be stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        database = f"sqlite:///{self.folder / 'mlflow.db'}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "_MLFLOW_SERVER_FILE_STORE": database,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.folder / "artifacts"),
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        }
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self.port), database],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                if urllib3.request("GET", f"{self.uri}/health", retries=False, timeout=2).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@cache
def running_server() -> MlflowServer:
    """The server of this interpreter, started on first use (about ten seconds) and stopped at exit."""
    folder = tempfile.TemporaryDirectory(prefix="mlflow-")
    server = MlflowServer(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    server.start()
    server.wait()
    return server
