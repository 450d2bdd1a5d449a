"""Stop the whole system in order, with nothing lost."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import typer

from shared.backing.pidfile import PidFile
from shared.backing.processes import end_all
from shared.cli.leftovers import end_leftovers
from shared.cli.output import CommandFailed, console, print_json
from shared.cli.stack_state import fraud_home, read_state, state_file, supervisor_alive

_STOP_SECONDS: Final = 120.0
_LEFTOVER_SECONDS: Final = 20.0


def command(
    *,
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Remove the state folder too: events, features, models.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Stop producer, delivery, functions, then Kafka, Redis, S3 and MLflow.

    Example: fraud down

    Example: fraud down --wipe
    """
    home = fraud_home()
    screen = console(stderr=True)
    with screen.status(f"stopping the system under {home}"):
        stopped = _stop_supervisor(home)
        leftovers = asyncio.run(_end_what_is_left(home))
    wiped = wipe and home.exists()
    if wiped:
        _wipe(home)
    if as_json:
        print_json({"home": str(home), "stopped": stopped, "leftovers_ended": leftovers, "wiped": wiped})
        return
    screen.print("stopped" if stopped or leftovers else f"nothing ran under {home}")
    if wiped:
        screen.print(f"removed {home}")


def _stop_supervisor(home: Path) -> bool:
    """Stop the supervisor, which stops the rest; whether there was one.

    Raises:
        CommandFailed: It did not end in two minutes.
    """
    state = read_state(home)
    if state is None or not supervisor_alive(state):
        state_file(home).unlink(missing_ok=True)
        return False
    try:
        supervisor = psutil.Process(state.pid)
        supervisor.terminate()
        supervisor.wait(_STOP_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        raise CommandFailed(f"the supervisor (pid {state.pid}) still runs after {_STOP_SECONDS:.0f} s") from None
    state_file(home).unlink(missing_ok=True)
    return True


async def _end_what_is_left(home: Path) -> int:
    """End what a killed supervisor left behind: replicas first, then backing services in their order."""
    ended = await end_leftovers(home)
    for name in ("kafka", "redis", "s3", "mlflow"):
        pid_file = home / "run" / f"{name}.pid"
        record: Any = PidFile.read(pid_file)
        process = record.process() if record else None
        if process is not None:
            await end_all([process], _LEFTOVER_SECONDS)
            ended += 1
        pid_file.unlink(missing_ok=True)
    return ended


def _wipe(home: Path) -> None:
    """Remove the state folder, if it is one.

    Raises:
        CommandFailed: The folder does not look like a state folder.
    """
    if not (home / "run").is_dir():
        raise CommandFailed(f"{home} is not a state folder (it has no run/): not removed")
    shutil.rmtree(home)
