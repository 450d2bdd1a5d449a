"""One scorer replica of our own beside the running system, on its backing services.

The system's own scorer would be scaled while it is measured. This is the same replica process, started by the same
emulator from the same manifest, but for max-scale 1 and another port.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from shared.backing.ports import free_ports
from shared.cli.stack_settings import PROJECT, SCORER
from shared.cli.stack_state import StackState
from shared.loadgen.traffic import simulated_transactions

_PATIENCE_SECONDS = 60.0
_MAX_SCALE = "autoscaling.knative.dev/max-scale"


@dataclass(frozen=True)
class LoneReplica:
    """A replica that has made its first decision.

    Attributes:
        url: Its address.
        pid: The process above it, its emulator.
        cold_start_seconds: From the start of its process to the first decision.
    """

    url: str
    pid: int
    cold_start_seconds: float


@contextmanager
def lone_replica(state: StackState, manifests: Path, folder: Path) -> Iterator[LoneReplica]:
    """Start a replica; stop it at the end.

    Args:
        state: The running system.
        manifests: Folder of manifests with the scorer alone (`scorer_alone`).
        folder: State folder of the replica; a model that it finds there is used at once, as after any restart.

    Raises:
        RuntimeError: It did not decide within a minute.
    """
    port, admin = free_ports(2)
    command = [sys.executable, "-m", "shared.emulator", "--manifests", str(manifests), "--home", str(folder)]
    command += ["--port", f"{SCORER}={port}", "--admin-port", str(admin)]
    for name in state.environment:
        command += ["--pass", name]
    with (folder / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, **state.environment}, stdout=log, stderr=log
        )
        try:
            yield _first_decision(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}/status", folder)
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE_SECONDS)


def scorer_alone(manifests: Path, target: Path) -> Path:
    """Copy the manifests with the scorer as the only service, never scaled beyond one replica."""
    shutil.copytree(manifests, target)
    kept = ["config.yaml", "scorer.yaml"]
    kustomization = yaml.safe_load((target / "kustomization.yaml").read_text())
    (target / "kustomization.yaml").write_text(yaml.safe_dump(kustomization | {"resources": kept}))
    service = yaml.safe_load((target / "scorer.yaml").read_text())
    service["spec"]["template"]["metadata"]["annotations"][_MAX_SCALE] = "1"
    (target / "scorer.yaml").write_text(yaml.safe_dump(service))
    for file in target.glob("*.yaml"):
        if file.name not in (*kept, "kustomization.yaml"):
            file.unlink()
    return target


def _first_decision(process: subprocess.Popen[bytes], url: str, status_url: str, folder: Path) -> LoneReplica:
    """Ask from the moment the port is open: the request waits in the listener until the replica takes it."""
    (transaction,) = simulated_transactions(1, seed=1)
    body = json.dumps(transaction.to_wire()).encode()
    request = urllib.request.Request(f"{url}/v1/score", body, {"content-type": "application/json"})
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS):
                decided = time.time()
        except OSError:  # not listening yet, or no model yet (503)
            time.sleep(0.005)
            continue
        with urllib.request.urlopen(status_url, timeout=_PATIENCE_SECONDS) as answer:
            (replica,) = json.load(answer)["services"][SCORER]["replicas"]
        return LoneReplica(url, process.pid, decided - replica["started"])
    log = (folder / "emulator.log").read_text()[-2000:]
    raise RuntimeError(f"the scorer replica made no decision within {_PATIENCE_SECONDS:g} s\n{log}")
