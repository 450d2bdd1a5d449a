"""Where the running system is: the file that `fraud up` keeps and every other command reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from shared.cli.output import CommandFailed

Phase = Literal["starting", "running", "stopping", "failed"]


class StackNotRunning(CommandFailed):
    """No system runs under this FRAUD_HOME."""


@dataclass(frozen=True, kw_only=True)
class StackState:
    """Addresses of a running system and its supervisor's process.

    Attributes:
        pid: Process id of the supervisor (`python -m shared.cli.stack`).
        pid_started: Its start time, seconds since the epoch: a pid alone may have been given away again.
        phase: "starting" until first decisions flow, then "running"; "stopping"; "failed" with `failure`.
        home: The state folder, absolute.
        scorer_url: Base address of the decision API, e.g. "http://127.0.0.1:8000".
        admin_url: Base address of the emulator's admin interface.
        kafka: Bootstrap servers, "host:port".
        redis_url: "redis://host:port/0".
        s3_url: Address of the S3 server.
        mlflow_uri: Address of the MLflow server.
        environment: What a process needs in its environment to use the backing services (secrets included,
            hence the file's mode 0600).
        functions: Address of each function's service by name.
        backing: How each backing service stands: fields of `shared.backing.backing.ServiceStatus`.
        failure: Why the start failed, with the last lines of the culprit's log.
        progress: What the supervisor did so far, oldest first, with the seconds since its start.
        first_decision_seconds: From the supervisor's start to the first decision; None before that.
    """

    pid: int
    pid_started: float
    phase: Phase
    home: Path
    scorer_url: str
    admin_url: str
    kafka: str
    redis_url: str
    s3_url: str
    mlflow_uri: str
    environment: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    backing: tuple[Mapping[str, Any], ...] = ()
    failure: str | None = None
    progress: tuple[str, ...] = ()
    first_decision_seconds: float | None = None


def fraud_home() -> Path:
    """Return the state folder: `FRAUD_HOME`, else `.fraud` in the working directory; absolute."""
    return Path(os.environ.get("FRAUD_HOME") or ".fraud").absolute()


def state_file(home: Path | None = None) -> Path:
    """Return the path of the state file under `home` (default: `fraud_home()`)."""
    return (home or fraud_home()) / "run" / "stack.json"


def write_state(state: StackState) -> None:
    """Write the state file whole or not at all; readable by its owner alone."""
    target = state_file(state.home)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(state), default=str))
    partial.replace(target)


def read_state(home: Path | None = None) -> StackState | None:
    """Return what the state file says, whether or not its supervisor still lives; None without a file."""
    try:
        fields: dict[str, Any] = json.loads(state_file(home).read_text())
    except FileNotFoundError:
        return None
    tuples = {name: tuple(fields[name]) for name in ("progress", "backing")}
    return StackState(**(fields | tuples | {"home": Path(fields["home"])}))


def supervisor_alive(state: StackState) -> bool:
    """Whether the supervisor named in `state` still runs (same pid and same start time)."""
    import psutil  # noqa: PLC0415 - 60 ms that only commands on a running system pay

    try:
        process = psutil.Process(state.pid)
        return abs(process.create_time() - state.pid_started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running_stack(home: Path | None = None) -> StackState:
    """Return the running system's addresses.

    Args:
        home: State folder; default `FRAUD_HOME`, else `.fraud`.

    Raises:
        StackNotRunning: Nothing runs there; the message says what to do.
    """
    home = home or fraud_home()
    state = read_state(home)
    if state is None or not supervisor_alive(state):
        raise StackNotRunning(f"no system runs under {home} (FRAUD_HOME): start it with `fraud up`")
    if state.phase == "failed":
        raise StackNotRunning(f"the system under {home} failed to start: {state.failure}")
    return state
