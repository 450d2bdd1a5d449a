"""Keeps plain programs running: the replicas of a Deployment, and the emulator's own delivery process."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.backing.ports import free_ports
from shared.emulator.child import Child, describe_exit
from shared.emulator.crash_loop import CrashLoop
from shared.emulator.log_files import LogFile, Tail


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        name: Name of the Deployment.
        command: Program and arguments.
        environment: Its whole environment.
        folder: Working directory.
        grace: Seconds to end by itself after SIGTERM.
        niceness: Scheduling weight, 0 to 19.
        listens: Whether each copy gets a port of its own, by PORT: a pod has its own address, a process has not.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    grace: float
    niceness: int = 0
    listens: bool = False


class ProgramRunner:
    """Runs a program in a number of copies and starts again what ends.

    Args:
        program: The program.
        copies: How many of it.
        log: Where its output goes.
    """

    def __init__(self, program: Program, copies: int, log: LogFile) -> None:
        self.program = program
        self.crashes = CrashLoop()
        self._log = log
        self._copies = copies
        self._running: dict[str, tuple[Child, float]] = {}
        names = [f"{program.name}-{number + 1}" for number in range(copies)]
        self._ports = dict(zip(names, free_ports(copies), strict=True)) if program.listens else {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ports(self) -> dict[str, int]:
        """Port of each running copy that listens."""
        return {name: port for name, port in self._ports.items() if name in self._running}

    @property
    def ready(self) -> int:
        """Copies that run."""
        return len(self._running)

    async def start(self) -> None:
        """Start all copies; returns at once."""
        self._tasks = [asyncio.create_task(self._keep(f"{self.program.name}-{n + 1}")) for n in range(self._copies)]

    async def stop(self, grace: float | None = None) -> None:
        """End all copies; what is left after the program's grace, or a shorter `grace`, is killed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        seconds = self.program.grace if grace is None else min(grace, self.program.grace)
        await asyncio.gather(*(child.stop(seconds) for child, _ in self._running.values()))
        self._running.clear()

    def status(self) -> dict[str, Any]:
        """The program as JSON."""
        return {
            "desired": self._copies,
            "ready": len(self._running),
            "restarts": self.crashes.restarts,
            "failure": self.crashes.reason,
            "replicas": [
                {"name": name, "pid": child.pid, "started": started, "port": self._ports.get(name)}
                for name, (child, started) in self._running.items()
            ],
        }

    async def _keep(self, name: str) -> None:
        tether = [sys.executable, "-m", "shared.emulator.tether", str(self.program.niceness), str(os.getpid())]
        command = [*tether, *self.program.command]
        environment = {**self.program.environment, "HOSTNAME": name}
        if name in self._ports:
            environment["PORT"] = str(self._ports[name])
        while True:
            tail, started = Tail(), time.time()

            def on_line(line: bytes, tail: Tail = tail) -> None:
                tail.add(line)
                self._log.write(name, line)

            try:
                child = Child(command, environment=environment, folder=self.program.folder)
                self._running[name] = (child, started)
                await child.follow_output(on_line)
                code = await asyncio.shield(child.exited)
                reason = f"{describe_exit(code)}; last lines:\n{tail}"
            except OSError as error:
                reason = str(error)
            self._running.pop(name, None)
            self.crashes.crashed(reason, time.time() - started, was_ready=True)  # running is all that a program shows
            self._log.event(name, "error", f"ended: {reason}")
            await asyncio.sleep(self.crashes.delay)
