"""What a backing service is: the protocol, and the base of those run as a child process."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import psutil

from shared.backing.pidfile import PidFile
from shared.backing.ports import require_free
from shared.backing.processes import alive, end

_LOG_LIMIT_BYTES: Final = 16 << 20


class NotReady(Exception):
    """A probe's answer while the service can not serve yet; the message is what was seen."""


class ServiceFailed(RuntimeError):
    """A service ended or did not become ready; the message carries the last lines of its log."""


class BackingService(Protocol):
    """One backing service, embedded or run by somebody else."""

    name: str
    """Short name: "kafka", "redis", "s3" or "mlflow"."""

    @property
    def external(self) -> bool:
        """Whether somebody else runs it: then `start` and `stop` do nothing."""
        ...

    @property
    def address(self) -> str:
        """Where clients reach it."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables by which a client process finds it."""
        ...

    @property
    def pid(self) -> int | None:
        """Process id while it runs as our child."""
        ...

    async def start(self) -> None:
        """Start the process, or take over a running one of the same identity; does not wait for readiness."""
        ...

    async def probe(self) -> None:
        """Try the service as a client would; raises `NotReady`."""
        ...

    async def wait_exit(self) -> str:
        """Return once the process has ended, with how; never returns for an external service."""
        ...

    async def stop(self) -> None:
        """Stop it with nothing lost; idempotent."""
        ...

    def log_tail(self, lines: int = 15) -> list[str]:
        """Return the last lines of its log."""
        ...


@dataclass(frozen=True)
class Command:
    """What to execute: argument vector, additions to the environment, working directory."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class EmbeddedService(ABC):
    """A service run as a child process, in a process group of its own: a terminal's Ctrl-C is ours to handle.

    The pid file outlives a killed supervisor: the next `start` takes the running process over, or stops it
    when it was started with other settings.
    """

    external: Final = False
    name: str
    title: str
    port_setting: str
    stop_seconds: float = 20.0
    dropped_variables: tuple[str, ...] = ()

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.data = home / self.name
        self.log = home / "logs" / f"{self.name}.log"
        self._pid_file = home / "run" / f"{self.name}.pid"
        self._child: asyncio.subprocess.Process | None = None
        self._process: psutil.Process | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients reach the service."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Environment variables by which a client process finds the service."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What makes a running process ours to take over: version and every setting that reaches it."""

    @abstractmethod
    async def command(self) -> Command:
        """Prepare files and return what to execute; called before each start."""

    @abstractmethod
    async def probe(self) -> None:
        """Try the service as a client would.

        Raises:
            NotReady: It can not serve yet.
        """

    @property
    def pid(self) -> int | None:
        """Process id while the process runs."""
        return self._process.pid if self._process is not None and self._running() else None

    async def start(self) -> None:
        """Start the process, or take over the one a killed supervisor left behind.

        Raises:
            PortTaken: Another process listens on the port.
        """
        if self._running() or await self._take_over():
            return
        for port in self.ports():
            require_free(port, purpose=self.title, setting=self.port_setting)
        self.data.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = await self.command()
        inherited = {name: value for name, value in os.environ.items() if name not in self.dropped_variables}
        with self._open_log() as log:
            self._child = await asyncio.create_subprocess_exec(
                *command.argv,
                cwd=command.cwd,
                env={**inherited, **command.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # its own group for signals, and its own share of the processors
            )
        try:
            self._process = psutil.Process(self._child.pid)
            PidFile.of(self._child.pid, self.identity).write(self._pid_file)
        except psutil.NoSuchProcess:
            self._process = None  # ended at once: wait_exit reports it

    def ports(self) -> tuple[int, ...]:
        """Return the ports that must be free before a start."""
        return (self.port,)

    async def wait_exit(self) -> str:
        """Return once the process has ended, with how it ended."""
        if self._child is not None:
            code = await self._child.wait()
            return f"ended by signal {-code}" if code < 0 else f"ended with status {code}"
        while self._running():  # noqa: ASYNC110 - not our child: nothing will tell us
            await asyncio.sleep(0.2)
        return "ended"

    async def stop(self) -> None:
        """Ask the process to end (SIGTERM), and after `stop_seconds` make it."""
        process = self._process
        if process is not None and self._running():
            await end(process, self.stop_seconds)
        if self._child is not None:
            await self._child.wait()
        self._child = self._process = None
        self._pid_file.unlink(missing_ok=True)

    def log_tail(self, lines: int = 15) -> list[str]:
        """Return the last lines of the process's standard output and error."""
        try:
            with self.log.open(errors="replace") as log:
                return [line.rstrip("\n") for line in deque(log, lines)]
        except FileNotFoundError:
            return []

    def _running(self) -> bool:
        if self._child is not None:
            return self._child.returncode is None
        return self._process is not None and alive(self._process)

    async def _take_over(self) -> bool:
        """Take over the process on record if it is what `start` would start; end it if it is not."""
        record = PidFile.read(self._pid_file)
        process = record.process() if record else None
        self._child = None
        if record is None or process is None:
            return False
        if record.identity != self.identity:
            await end(process, self.stop_seconds)
            return False
        self._process = process
        return True

    def _open_log(self) -> BinaryIO:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")
