"""Start the whole system and wait until decisions flow."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from shared.backing.settings import BackingSettings
from shared.cli.figures import Figures, collect
from shared.cli.output import CommandFailed, console, print_json
from shared.cli.stack_settings import StackSettings
from shared.cli.stack_state import StackState, read_state, supervisor_alive
from shared.cli.tables import print_addresses, print_figures

_POLL_SECONDS: Final = 0.1
_LONGEST_START_SECONDS: Final = 900.0
_FIRST_SIGN_SECONDS: Final = 30.0


def command(
    *,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay; Ctrl-C stops the system.")] = False,
    traffic: Annotated[
        bool, typer.Option("--traffic/--no-traffic", help="Run the producer: 10 transactions per second.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Start backing services, functions, the first model and traffic; on a running system print how it stands.

    Example: fraud up

    Example: FRAUD_API_PORT=8100 fraud up --no-traffic
    """
    try:
        home = BackingSettings().home
        StackSettings()
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise CommandFailed(f"settings refused: {faults}") from None
    if foreground:
        _foreground(traffic=traffic)
        return
    state = read_state(home)
    if state is None or not supervisor_alive(state):
        state = _follow(home, _start_supervisor(home, traffic=traffic))
    elif state.phase != "running":
        state = _follow(home, None)
    figures = asyncio.run(collect(state))
    _show(state, figures, as_json=as_json)


def _foreground(*, traffic: bool) -> None:
    from shared.cli.stack import supervise  # noqa: PLC0415 - a second of imports that a detached start has no use for

    progress = console(stderr=True)
    status = asyncio.run(supervise(traffic=traffic, echo=progress.print))
    if status != 0:
        state = read_state()
        raise CommandFailed((state and state.failure) or "the start failed")


def _start_supervisor(home: Path, *, traffic: bool) -> subprocess.Popen[bytes]:
    """Start the supervisor detached: it outlives this command and its terminal."""
    log = _log(home)
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "shared.cli.stack", *([] if traffic else ["--no-traffic"])]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            argv,
            env={**os.environ, "FRAUD_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _follow(home: Path, supervisor: subprocess.Popen[bytes] | None) -> StackState:
    """Show the supervisor's progress until decisions flow; Ctrl-C stops what this command started.

    Raises:
        CommandFailed: The start failed; the reason and the culprit's last log lines are the message.
    """
    screen = console(stderr=True)
    shown = 0
    began = time.monotonic()
    try:
        with screen.status("starting") as spinner:
            while time.monotonic() - began < _LONGEST_START_SECONDS:
                state = read_state(home)
                ours = state is not None and (supervisor is None or state.pid == supervisor.pid)
                if state is not None and ours:
                    for line in state.progress[shown:]:
                        screen.print(line, markup=False)
                        spinner.update(line.strip())
                    shown = len(state.progress)
                    if state.phase == "running":
                        return state
                    if state.phase == "failed":
                        _reap(supervisor)
                        raise CommandFailed(state.failure or "the start failed")
                _require_life(home, state if ours else None, supervisor, time.monotonic() - began)
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        if supervisor is not None:
            supervisor.terminate()
            screen.print("stopping what was started")
            _reap(supervisor)
        raise
    raise CommandFailed(f"not running after {_LONGEST_START_SECONDS:.0f} s; see {_log(home)}")


def _require_life(
    home: Path, state: StackState | None, supervisor: subprocess.Popen[bytes] | None, seconds: float
) -> None:
    """Refuse to wait for a supervisor that is gone or gives no sign."""
    gone = supervisor.poll() is not None if supervisor is not None else state is None or not supervisor_alive(state)
    if gone or (state is None and seconds > _FIRST_SIGN_SECONDS):
        tail = "\n".join(_log(home).read_text(errors="replace").splitlines()[-15:]) if _log(home).exists() else ""
        raise CommandFailed(f"the supervisor ended before anything ran\n{tail}")


def _reap(supervisor: subprocess.Popen[bytes] | None) -> None:
    if supervisor is not None:
        supervisor.wait(timeout=90)


def _log(home: Path) -> Path:
    return home / "logs" / "supervisor.log"


def _show(state: StackState, figures: Figures, *, as_json: bool) -> None:
    if as_json:
        addresses = {"scorer": state.scorer_url, "kafka": state.kafka, "redis": state.redis_url}
        addresses |= {"s3": state.s3_url, "mlflow": state.mlflow_uri, "admin": state.admin_url}
        print_json({"addresses": addresses, **figures.document()})
        return
    screen = console()
    print_figures(screen, figures)
    print_addresses(screen, state)
