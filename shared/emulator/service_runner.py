"""Runs one Service: its socket, its replicas, its scale."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import ClientSession, TCPConnector

from shared.emulator.autoscaler import TICK_SECONDS, Decider, Scaler, ScaleSpec
from shared.emulator.balance import balance
from shared.emulator.child import describe_exit
from shared.emulator.crash_loop import CrashLoop
from shared.emulator.listener import held_connections
from shared.emulator.manifests import Service
from shared.emulator.refusal import refuse_held
from shared.emulator.replica_process import ReplicaProcess, ReplicaTemplate

_SAMPLE_SECONDS = 1.0
_KEPT_SCALES = 5_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScaleChange:
    """The scale at a moment: replicas wanted, running and ready; `time` in seconds since the epoch."""

    time: float
    desired: int
    running: int
    ready: int
    concurrency: float


class ServiceRunner:
    """Keeps a service at the scale that its load asks for.

    Args:
        service: The manifest.
        template: What its replicas have in common, the listening socket among it.
        spec: Its scaling.
    """

    def __init__(self, service: Service, template: ReplicaTemplate, spec: ScaleSpec) -> None:
        self.service = service
        self.history: deque[ScaleChange] = deque(maxlen=_KEPT_SCALES)
        self.retired_metrics: list[str] = []
        self.crashes = CrashLoop()
        self._template = template
        self._spec = spec
        self._decider = Decider(spec)
        self._scaler = Scaler(spec, now=time.monotonic())
        self._desired = self._scaler.initial
        self._replicas: list[ReplicaProcess] = []
        self._number = 0
        self._stopping = False
        self._watching_socket = False
        self._http: ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._autoscaling: asyncio.Task[None] | None = None
        self._panicking = False

    @property
    def port(self) -> int:
        """Port of the shared listening socket."""
        return int(self._template.listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The service's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def replicas(self) -> tuple[ReplicaProcess, ...]:
        """All replicas, starting and draining ones included."""
        return tuple(self._replicas)

    @property
    def ready(self) -> list[ReplicaProcess]:
        """Replicas that take requests."""
        return [replica for replica in self._replicas if replica.ready]

    @property
    def desired(self) -> int:
        """Replicas that shall run."""
        return self._desired

    @property
    def concurrency(self) -> float:
        """Requests in flight over all replicas, and connections that wait to be accepted."""
        return sum(replica.concurrency for replica in self.ready) + held_connections(self._template.listener)

    async def start(self) -> None:
        """Start the initial replicas and the autoscaler; returns at once."""
        self._http = ClientSession(connector=TCPConnector(force_close=True))
        self._autoscaling = asyncio.create_task(self._autoscale())
        self._adjust()

    async def stop(self, grace: float) -> None:
        """Drain all replicas; what is left after `grace` seconds is killed."""
        self._stopping = True
        self._desired = 0
        self._ignore_socket()
        if self._autoscaling is not None:
            self._autoscaling.cancel()
        living = [replica for replica in self._replicas if replica.pid is not None]
        for replica in living:
            replica.drain()
        if living:
            _, late = await asyncio.wait({replica.exited for replica in living}, timeout=grace)
            for replica in living if late else ():
                replica.kill()
            for replica in living:
                await replica.exited
        if self._tasks:
            _, late_tasks = await asyncio.wait(self._tasks, timeout=1.0)
            for task in late_tasks:
                task.cancel()
        if self._http is not None:
            await self._http.close()
        self._template.listener.close()

    def status(self) -> dict[str, Any]:
        """The service as JSON: address, scale, replicas, restarts, why it fails."""
        return {
            "url": self.url,
            "desired": self._desired,
            "ready": len(self.ready),
            "panicking": self._panicking,
            "concurrency": round(self.concurrency, 3),
            "restarts": self.crashes.restarts,
            "failure": self.crashes.reason,
            "replicas": [
                {
                    "name": replica.name,
                    "pid": replica.pid,
                    "port": replica.port,
                    "ready": replica.ready,
                    "draining": replica.draining,
                    "started": replica.started,
                    "concurrency": round(replica.concurrency, 3),
                    "rps": round(replica.rps, 1),
                    "connections": replica.connections,
                }
                for replica in self._replicas
            ],
            "history": [asdict(change) for change in self.history],
        }

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("service %s: %r", self.service.name, error, exc_info=error)

    async def _autoscale(self) -> None:
        """Sample each second, decide each second tick, spread connections."""
        ticks = 0
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            self._sample()
            if self.crashes.failing and not self.ready:
                await refuse_held(self._template.listener, f"service {self.service.name} does not start")
            balance(self.ready)
            ticks += 1
            if ticks * _SAMPLE_SECONDS >= TICK_SECONDS:
                ticks = 0
                self._scale()
            self._note()

    def _sample(self) -> None:
        """Record what is in flight; without a ready replica only what waits for one, as Knative's activator does."""
        ready = self.ready
        held = held_connections(self._template.listener)
        if not ready and not held:
            return
        rate = self._spec.metric == "rps"
        value = sum(replica.rps if rate else replica.concurrency for replica in ready) + held
        self._decider.record(time.monotonic(), value)

    def _scale(self) -> None:
        now, ready = time.monotonic(), len(self.ready)
        decision = self._decider.decide(now, ready)
        self._panicking = decision is not None and decision.panicking
        applied = self._scaler.reconcile(now, decision, ready)
        if applied is not None:
            self._desired = applied
        self._adjust()

    def _adjust(self) -> None:
        """Start or drain replicas until as many are wanted as run."""
        if self._stopping:
            return
        running = [replica for replica in self._replicas if not replica.draining]
        surplus = max(0, len(running) - self._desired)
        for replica in sorted(running, key=lambda one: (one.ready, -one.started))[:surplus]:
            self._template.log.event(replica.name, "info", f"draining: scaled to {self._desired}")
            replica.drain()
        if not self.crashes.delay:
            for _ in range(self._desired - len(running)):
                self._number += 1
                replica = ReplicaProcess(f"{self.service.revision}-{self._number}", self._template)
                self._replicas.append(replica)
                self._spawn(self._live(replica))
        if self._desired or self._replicas:
            self._ignore_socket()
        else:
            self._watch_socket()
        self._note()

    async def _live(self, replica: ReplicaProcess) -> None:
        """A replica's life: start, become ready, serve, end."""
        assert self._http is not None  # noqa: S101 - set by start()
        was_ready = False
        if self._stopping or replica.draining:
            self._replicas.remove(replica)
            return
        try:
            await replica.start()
            if await self._become_ready(replica):
                was_ready = True
                replica.accept(True)
                self.crashes.recovered()
                balance(self.ready)
                self._note()
                watching = asyncio.create_task(replica.watch(self._http))
                await replica.exited
                watching.cancel()
            await replica.exited
            await replica.close()
        finally:
            replica.ready = False
            self._replicas.remove(replica)
        if replica.last_metrics is not None:
            self.retired_metrics.append(replica.last_metrics)
        if not replica.draining:
            await self._crashed(replica, was_ready=was_ready)
        else:
            self._template.log.event(replica.name, "info", f"ended: {describe_exit(replica.exited.result())}")
        self._adjust()

    async def _become_ready(self, replica: ReplicaProcess) -> bool:
        """Whether the replica became ready; one that takes too long is killed."""
        assert self._http is not None  # noqa: S101 - set by start()
        readying = asyncio.create_task(replica.until_ready(self._http, self._spec.activation_timeout))
        ends: set[asyncio.Future[Any]] = {readying, replica.exited}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not readying.done():
            readying.cancel()
            return False
        if readying.exception() is not None:
            replica.kill()
            return False
        return not replica.draining

    async def _crashed(self, replica: ReplicaProcess, *, was_ready: bool) -> None:
        reason = replica.failure()
        self.crashes.crashed(reason, time.time() - replica.started, was_ready=was_ready)
        self._template.log.event(replica.name, "error", f"crashed: {reason}")
        _log.warning("replica %s crashed: %s", replica.name, reason)
        await asyncio.sleep(self.crashes.delay)

    def _watch_socket(self) -> None:
        """At zero: be woken by the first connection, which stays in the socket's queue until a replica accepts it."""
        if not self._watching_socket:
            self._watching_socket = True
            asyncio.get_running_loop().add_reader(self._template.listener, self._woken)

    def _ignore_socket(self) -> None:
        if self._watching_socket:
            self._watching_socket = False
            asyncio.get_running_loop().remove_reader(self._template.listener)

    def _woken(self) -> None:
        self._ignore_socket()
        self._decider.record(time.monotonic(), float(max(1, held_connections(self._template.listener))))
        self._scale()

    def _note(self) -> None:
        """Add to the scale's history what has changed."""
        running = sum(not replica.draining for replica in self._replicas)
        scale = (self._desired, running, len(self.ready))
        last = self.history[-1] if self.history else None
        if last is None or scale != (last.desired, last.running, last.ready):
            self.history.append(ScaleChange(time.time(), *scale, round(self.concurrency, 3)))
