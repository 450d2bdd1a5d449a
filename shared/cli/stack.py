"""The supervisor process behind `fraud up`: `python -m shared.cli.stack`.

It holds the state folder's lock, keeps the state file that every other command reads, and lives until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from shared.backing.backing import ServiceStatus
from shared.backing.settings import BackingSettings
from shared.cli.leftovers import end_leftovers
from shared.cli.output import CommandFailed
from shared.cli.stack_settings import SCORER, StackSettings
from shared.cli.stack_state import StackState, state_file, write_state
from shared.cli.system import System
from shared.registry.errors import RegistryUnavailable

log = logging.getLogger(__name__)


class AlreadyRunning(CommandFailed):
    """Another supervisor holds the state folder."""


class StateKeeper:
    """Keeps the state file up to date.

    Args:
        home: State folder.
        stack: Settings that say where the functions will be.
        echo: Takes each line of progress too.
    """

    def __init__(self, home: Path, stack: StackSettings, echo: Callable[[str], None]) -> None:
        self._began = time.monotonic()
        self._echo = echo
        self.state = StackState(
            pid=os.getpid(),
            pid_started=psutil.Process().create_time(),
            phase="starting",
            home=home,
            scorer_url=f"http://127.0.0.1:{stack.api_port}",
            admin_url=f"http://127.0.0.1:{stack.admin_port}",
            kafka="",
            redis_url="",
            s3_url="",
            mlflow_uri="",
        )
        write_state(self.state)

    def change(self, **fields: Any) -> None:
        """Change fields of the state and write it."""
        self.state = replace(self.state, **fields)
        write_state(self.state)

    def services(self, statuses: Sequence[ServiceStatus]) -> None:
        """Note how the backing services stand."""
        self.change(backing=tuple(asdict(status) for status in statuses))

    def addresses(self, system: System) -> None:
        """Note where everything is."""
        environment = system.environment
        self.change(
            kafka=environment["KAFKA_BOOTSTRAP_SERVERS"],
            redis_url=next(status.address for status in system.backing.status() if status.name == "redis"),
            s3_url=environment["AWS_ENDPOINT_URL"],
            mlflow_uri=environment["MLFLOW_TRACKING_URI"],
            environment=environment,
            functions=system.emulator.urls,
            scorer_url=system.emulator.urls.get(SCORER, self.state.scorer_url),
        )

    def announce(self, line: str) -> None:
        """Add a line of progress."""
        timed = f"{self.seconds():6.1f} s  {line}"
        self._echo(timed)
        self.change(progress=(*self.state.progress, timed)[-200:])

    def seconds(self) -> float:
        """Return the seconds since the supervisor began."""
        return time.monotonic() - self._began


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold the state folder for this process.

    Raises:
        AlreadyRunning: Another process holds it.
    """
    lock = home / "run" / "stack.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another `fraud up` holds {home}") from None
        yield


async def supervise(*, traffic: bool, echo: Callable[[str], None]) -> int:
    """Start the system, keep it alive until SIGTERM or SIGINT, stop it.

    Args:
        traffic: Whether the producer runs.
        echo: Takes lines of progress.

    Returns:
        Exit status: 0 after a wanted end, 1 after a failed start, whose reason is in the state file.
    """
    backing, stack = BackingSettings(), StackSettings()
    home = backing.home
    with _locked(home):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        keeper = StateKeeper(home, stack, echo)
        if found := await end_leftovers(home):
            keeper.announce(f"ended {found} processes that a killed supervisor had left behind")
        try:
            system = System(backing, stack, traffic=traffic, announce=keeper.announce, on_change=keeper.services)
        except (OSError, ValueError) as error:
            return _failed(keeper, error)
        keeper.addresses(system)
        status = await _live(system, keeper, stop)
        if status == 0:
            state_file(home).unlink(missing_ok=True)
        return status


async def _live(system: System, keeper: StateKeeper, stop: asyncio.Event) -> int:
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(system.start())
    afterwards: asyncio.Task[None] | None = None
    status = 0
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            keeper.change(phase="running", first_decision_seconds=system.first_decision_seconds)
            afterwards = asyncio.create_task(_log_failure(system.afterwards()))
            await stopping
    except (OSError, RuntimeError, ValueError, RegistryUnavailable) as error:
        status = _failed(keeper, error)
    finally:
        for task in (starting, stopping, *([afterwards] if afterwards else [])):
            task.cancel()
        await asyncio.gather(starting, *([afterwards] if afterwards else []), return_exceptions=True)
        if status == 0:
            keeper.change(phase="stopping")
        await system.stop()
    return status


async def _log_failure(work: Any) -> None:
    """Log what fails after the first decision: the system runs on without it."""
    try:
        await work
    except (OSError, RuntimeError) as error:
        log.error("%s", error)  # noqa: TRY400 - the reason is for the user, who has no use for the trace


def _failed(keeper: StateKeeper, error: Exception) -> int:
    reason = str(error) or type(error).__name__
    log.error("%s", reason)
    keeper.change(phase="failed", failure=reason)
    return 1


def main() -> None:
    """Run the supervisor in this process, with its progress on standard error."""
    parser = argparse.ArgumentParser(prog="python -m shared.cli.stack", description=__doc__)
    parser.add_argument("--no-traffic", action="store_true", help="leave the producer out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with suppress(KeyboardInterrupt):
        try:
            sys.exit(asyncio.run(supervise(traffic=not arguments.no_traffic, echo=log.info)))
        except AlreadyRunning as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
