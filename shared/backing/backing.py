"""All backing services as one: started side by side, kept alive, stopped in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from shared.backing.factory import build_services
from shared.backing.service import BackingService, NotReady, ServiceFailed
from shared.backing.settings import BackingSettings

log = logging.getLogger(__name__)

State = Literal["stopped", "starting", "ready", "restarting"]

_PROBE_INTERVAL_SECONDS: Final = 0.05
_START_SECONDS: Final = 120.0
_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 5.0
_HEALTHY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class ServiceStatus:
    """How a service stands.

    Attributes:
        name: "kafka", "redis", "s3" or "mlflow".
        address: Where clients reach it.
        state: "ready" once a client could work with it; "restarting" after a crash.
        external: Whether somebody else runs it.
        pid: Process id of an embedded one.
        restarts: How often it was started again after a crash.
        reason: What the last probe or end said while it is not ready.
    """

    name: str
    address: str
    state: State
    external: bool
    pid: int | None
    restarts: int
    reason: str | None


class Backing:
    """The backing services of one state folder.

    As an async context manager it starts all of them and stops them at the end:

        async with Backing(BackingSettings(home=tmp)) as backing:
            client = redis.Redis.from_url(backing.environment["REDIS_URL"])

    Args:
        settings: Folder, ports, external addresses.
        only: Names of the services wanted; default all.
        on_change: Called, with the name, whenever a service's status changed.
    """

    def __init__(
        self,
        settings: BackingSettings,
        only: frozenset[str] | None = None,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        services = build_services(settings)
        self._supervised = {
            service.name: SupervisedService(service, on_change)
            for service in services
            if only is None or service.name in only
        }

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which a client process finds every service."""
        merged: dict[str, str] = {}
        for supervised in self._supervised.values():
            merged |= supervised.service.environment
        return merged

    async def start(self) -> None:
        """Start all services side by side and wait until each is ready; after a failure all are stopped again.

        Raises:
            PortTaken: A port is held by another process.
            ServiceFailed: A service ended or did not become ready; the message has its log's last lines.
        """
        starts = [asyncio.create_task(one.start()) for one in self._supervised.values()]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise

    async def ready(self, name: str) -> None:
        """Wait until the service `name` is ready."""
        await self._supervised[name].ready.wait()

    def status(self) -> list[ServiceStatus]:
        """Return every service's status, in stop order."""
        return [one.status() for one in self._supervised.values()]

    async def stop(self) -> None:
        """Stop the services one after the other: Kafka, Redis, S3, MLflow."""
        for one in self._supervised.values():
            await one.stop()


class SupervisedService:
    """One service and the task that starts it again when it crashes."""

    def __init__(self, service: BackingService, on_change: Callable[[str], None]) -> None:
        self.service = service
        self.ready = asyncio.Event()
        self._on_change = on_change
        self._state: State = "stopped"
        self._restarts = 0
        self._reason: str | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the service, wait until it is ready, then watch over it.

        Raises:
            PortTaken: Its port is held by another process.
            ServiceFailed: It ended, or was not ready within two minutes.
        """
        self._set("starting")
        await self.service.start()
        self._set("starting")
        await self._wait_ready()
        if not self.service.external:
            self._watch = asyncio.create_task(self._keep_alive(), name=f"keep {self.service.name} alive")

    async def stop(self) -> None:
        """Stop watching and stop the service."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self.service.stop()
        self.ready.clear()
        self._set("stopped")

    def status(self) -> ServiceStatus:
        """Return how the service stands now."""
        return ServiceStatus(
            name=self.service.name,
            address=self.service.address,
            state=self._state,
            external=self.service.external,
            pid=self.service.pid,
            restarts=self._restarts,
            reason=self._reason,
        )

    async def _keep_alive(self) -> None:
        """Start the service again each time it ends; the pause doubles until it has been healthy for a while."""
        backoff = _FIRST_BACKOFF_SECONDS
        healthy_since = time.monotonic()
        while True:
            how = await self.service.wait_exit()
            self.ready.clear()
            self._restarts += 1
            self._set("restarting", how)
            log.error("%s %s: starting it again", self.service.name, how)
            if time.monotonic() - healthy_since > _HEALTHY_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
            try:
                await self.service.start()
                await self._wait_ready()
                healthy_since = time.monotonic()
            except (OSError, RuntimeError) as error:  # taken port, failed start: tried again after the pause
                await self.service.stop()
                self._set("restarting", str(error))
                log.error("%s could not be started again: %s", self.service.name, error)  # noqa: TRY400

    async def _wait_ready(self) -> None:
        exited = asyncio.create_task(self.service.wait_exit())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not exited.done():
                    try:
                        await self.service.probe()
                    except NotReady as error:
                        self._reason = str(error)
                        await asyncio.wait([exited], timeout=_PROBE_INTERVAL_SECONDS)
                    else:
                        self.ready.set()
                        self._set("ready")
                        return
        except TimeoutError:
            raise ServiceFailed(self._explain(f"not ready after {_START_SECONDS:.0f} s: {self._reason}")) from None
        finally:
            exited.cancel()
        raise ServiceFailed(self._explain(exited.result()))

    def _explain(self, what: str) -> str:
        where = "run by somebody else" if self.service.external else "embedded"
        tail = "\n".join(f"  {line}" for line in self.service.log_tail())
        return f"{self.service.name} ({where}, {self.service.address}) {what}" + (f"\n{tail}" if tail else "")

    def _set(self, state: State, reason: str | None = None) -> None:
        self._state, self._reason = state, reason
        self._on_change(self.service.name)
