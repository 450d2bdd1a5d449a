"""The emulator's side of a replica: starts the process, talks with it, probes it."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from shared.emulator.child import Child, describe_exit
from shared.emulator.log_files import LogFile, Tail
from shared.emulator.manifests import Probe
from shared.emulator.replica_settings import ReplicaSettings

_START_POLL_SECONDS = 0.05
_SILENT_SECONDS = 3.0


@dataclass(frozen=True)
class ReplicaTemplate:
    """What all replicas of a service have in common; the settings' descriptors are filled in per replica."""

    environment: Mapping[str, str]
    folder: Path
    settings: ReplicaSettings
    listener: socket.socket
    log: LogFile
    readiness: Probe | None
    liveness: Probe | None


class ReplicaProcess:
    """One replica, from its start to its end.

    Attributes:
        name: Unique name, as a pod's.
        port: Private port on loopback.
        started: Time of the start, seconds since the epoch.
        ready: Whether it takes requests.
        draining: Whether it was asked to end.
        rps: Latest report of requests per second.
        connections: Open connections of the shared address, by the latest report.
        last_metrics: Its metrics at its orderly end.
    """

    def __init__(self, name: str, template: ReplicaTemplate) -> None:
        self.name = name
        self._template = template
        self._tail = Tail()
        self._child: Child | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._serving = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.port = 0
        self.started = time.time()
        self.ready = False
        self.draining = False
        self.rps = 0.0
        self.connections = 0
        self._concurrency = 0.0
        self._reported = time.monotonic()
        self.last_metrics: str | None = None

    async def start(self) -> None:
        """Start the process.

        Raises:
            OSError: it cannot be started.
        """
        template = self._template
        private = socket.create_server(("127.0.0.1", 0), backlog=128)
        ours, theirs = socket.socketpair()
        try:
            self.port = private.getsockname()[1]
            settings = replace(
                template.settings,
                shared_fd=template.listener.fileno(),
                private_fd=private.fileno(),
                channel_fd=theirs.fileno(),
            )
            self._child = Child(
                [sys.executable, "-m", "shared.emulator.replica", settings.to_json()],
                environment={**template.environment, "HOSTNAME": self.name},
                folder=template.folder,
                inherit=(settings.shared_fd, settings.private_fd, settings.channel_fd),
            )
        except OSError:
            ours.close()
            raise
        finally:
            private.close()
            theirs.close()
        await self._child.follow_output(self._line)
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=1 << 24)
        self._reading = asyncio.create_task(self._read(reader))

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return self._child.pid if self._child else None

    @property
    def concurrency(self) -> float:
        """Average requests in flight by the latest report; one that fell silent is busy with at least one."""
        silent = self.ready and time.monotonic() - self._reported > _SILENT_SECONDS
        return max(1.0, self._concurrency) if silent else self._concurrency

    @property
    def exited(self) -> "asyncio.Future[int]":
        """The exit code, when it has ended."""
        assert self._child is not None  # noqa: S101 - asked of started replicas only
        return self._child.exited

    def failure(self) -> str:
        """Why it ended: exit code or signal, and its last lines."""
        reason = describe_exit(self.exited.result()) if self.exited.done() else "did not become ready"
        last = str(self._tail)
        return f"{reason}; last lines:\n{last}" if last else reason

    def send(self, **message: Any) -> None:
        """Send an order through the channel; a replica that has just died does not hear it."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    def accept(self, wanted: bool) -> None:
        """Let it take connections or not."""
        self.ready = wanted
        self.send(accept=wanted)

    async def until_ready(self, http: ClientSession, deadline: float) -> None:
        """Return when the function is loaded and its readiness probe answers.

        Args:
            http: Client for the probe.
            deadline: Seconds from now.

        Raises:
            TimeoutError: not ready within the deadline.
        """
        async with asyncio.timeout(deadline):
            await self._serving.wait()
            probe = self._template.readiness
            while True:
                if probe is None or await self.probe(http, probe):
                    return
                await asyncio.sleep(_START_POLL_SECONDS)

    async def probe(self, http: ClientSession, probe: Probe) -> bool:
        """Whether a probe succeeds: any answer from 200 to 399 within its time."""
        url = f"http://127.0.0.1:{self.port}{probe.http_get.path}"
        try:
            async with http.get(url, timeout=ClientTimeout(probe.timeout), allow_redirects=False) as answer:
                return 200 <= answer.status < 400
        except (ClientError, TimeoutError, OSError):
            return False

    async def watch(self, http: ClientSession) -> None:
        """Probe for ever: readiness opens and closes it to requests, failed liveness kills it."""
        template = self._template
        probes = [
            (probe, kind) for probe, kind in ((template.readiness, "ready"), (template.liveness, "live")) if probe
        ]
        await asyncio.gather(*(self._watch_one(http, probe, kind) for probe, kind in probes))

    async def _watch_one(self, http: ClientSession, probe: Probe, kind: str) -> None:
        failures = 0
        while True:
            await asyncio.sleep(probe.period)
            failures = 0 if await self.probe(http, probe) else failures + 1
            if self.draining:
                return
            if kind == "live" and failures >= probe.failures:
                self._template.log.event(self.name, "error", f"liveness probe {probe.http_get.path} failed: killed")
                self.kill()
            healthy = failures < probe.failures if self.ready else failures == 0
            if kind == "ready" and healthy != self.ready:
                self._template.log.event(self.name, "warning", f"readiness probe {'passed' if healthy else 'failed'}")
                self.accept(healthy)

    def drain(self) -> None:
        """Ask it to answer what it has and end."""
        self.draining = True
        self.ready = False
        if self._child is not None:
            self._child.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._child.kill()

    async def close(self) -> None:
        """Release the channel of an ended replica, after reading what it said last."""
        if self._reading is not None:
            await self._reading
        if self._writer is not None:
            self._writer.close()

    def _line(self, line: bytes) -> None:
        self._tail.add(line)
        self._template.log.write(self.name, line)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                report = json.loads(line)
                if "metrics" in report:
                    self.last_metrics = report["metrics"]
                    continue
                self._concurrency, self.rps = report["concurrency"], report["rps"]
                self.connections = report["connections"]
                self._reported = time.monotonic()
                self._serving.set()
        except (ConnectionError, json.JSONDecodeError):
            return  # it was killed in the middle of a line
