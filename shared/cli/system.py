"""The whole system as one: backing services and functions started together, stopped in order."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import aiohttp

from shared.backing.aot_recording import record_aot_cache
from shared.backing.backing import Backing, ServiceStatus
from shared.backing.ports import PortTaken
from shared.backing.settings import BackingSettings
from shared.cli import bootstrap
from shared.cli.figures import sum_metric
from shared.cli.manifest_copy import without_traffic
from shared.cli.stack_settings import PROJECT, SCORER, TRAINER, StackSettings, passed_on
from shared.emulator.emulator import Emulator
from shared.emulator.log_files import log_path
from shared.emulator.manifests import load_manifests

_LONGEST_SECONDS: Final = 900.0
_FIRST_DECISION_SECONDS: Final = 120.0
_DRAIN_SECONDS: Final = 30.0
_BROKEN_OFF_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1


class System:
    """Backing services, functions, first model and traffic of one state folder.

    Args:
        backing: Settings of the backing services.
        stack: Settings of the functions.
        traffic: Whether the producer runs.
        announce: Takes a line of progress.
        on_change: Called when a backing service's status changed.
    """

    def __init__(
        self,
        backing: BackingSettings,
        stack: StackSettings,
        *,
        traffic: bool,
        announce: Callable[[str], None],
        on_change: Callable[[Sequence[ServiceStatus]], None],
    ) -> None:
        self._settings = backing
        self._traffic = traffic
        self._announce = announce
        self._on_change = on_change
        self._functions = asyncio.Event()
        self._started = False
        self._training: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self._champion_since = math.inf
        self.first_decision_seconds: float | None = None
        # An embedded registry that was never started has no champion: there is no need to wait for its answer.
        self._registry_is_new = not (backing.mlflow_tracking_uri or (backing.home / "mlflow" / "mlflow.db").exists())
        self._admin_url = f"http://127.0.0.1:{stack.admin_port}"
        self.backing = Backing(backing, on_change=self._service_changed)
        self.environment = self.backing.environment | {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "FRAUD_HOME": str(backing.home),
        }
        manifests = stack.manifests
        if not traffic:
            manifests = without_traffic(manifests, backing.home / "run" / "manifests")
        ports = stack.service_ports(list(load_manifests(manifests).services))
        self.emulator = Emulator(
            manifests,
            passed_on() | self.environment,
            backing.home,
            ports,
            admin_port=stack.admin_port,
            project=PROJECT,
        )

    async def start(self) -> None:
        """Start everything side by side; returns with the first decision (without traffic: when one could be made).

        Functions are started at once, as each of them waits for the services it needs; so is the first training.

        Raises:
            RuntimeError: A port is taken, a service failed, training failed. Nothing is stopped.
            TimeoutError: No decision came; the message says what was waited for.
        """
        await _all_or_first_error(
            self.backing.start(), self._start_functions(), self._first_champion(), self._first_decision()
        )
        self._started = True

    async def stop(self) -> None:
        """Stop with nothing lost: producer, delivery, functions drain, then Kafka, Redis, S3, MLflow."""
        if self._training is not None:
            self._training.cancel()
            await asyncio.gather(self._training, return_exceptions=True)
        # A start that is broken off leaves nothing to drain but the first training, which would take too long.
        await self.emulator.stop(_DRAIN_SECONDS if self._started else _BROKEN_OFF_SECONDS)
        await self.backing.stop()

    async def afterwards(self) -> None:
        """Do what may come after the first decision: wait for the challenger, then make the next start faster.

        Records the broker's ahead-of-time cache, once, at the lowest priority.
        """
        if self._training is not None:
            await self._training
            self._announce("challenger model registered")
        if not self._settings.kafka_bootstrap_servers:
            await record_aot_cache(self._settings)

    async def _start_functions(self) -> None:
        try:
            await self.emulator.start()
        except PortTaken as error:
            settings = "FRAUD_API_PORT (scorer), FRAUD_FUNCTIONS_PORT (the other functions) or FRAUD_ADMIN_PORT"
            raise PortTaken(f"{error}; stop it, or set {settings} to another port") from error
        # Traffic waits for a scorer that can decide: a minute's questions asked at once would be an overload.
        for program in self.emulator.programs.values():
            await program.stop()
        self._functions.set()

    async def _first_decision(self) -> None:
        """Wait for a ready scorer, let traffic begin, and wait for a decision: two minutes from the champion's arrival.

        With a copy of the model on disk the decision may come before the registry answers.
        """
        await self._functions.wait()
        await self.emulator.until_ready(_LONGEST_SECONDS, SCORER)
        self._announce("scorer is ready")
        if not self._traffic:
            return
        await self.backing.ready("redis")
        for program in self.emulator.programs.values():
            await program.start()
        async with aiohttp.ClientSession() as http:
            await _until(lambda: self._decided(http), self._decision_due, "the first decision")
        self.first_decision_seconds = time.monotonic() - self._began
        self._announce("first decision")

    async def _first_champion(self) -> None:
        """Have a champion trained if there is none; returns once the registry names one."""
        if not self._registry_is_new:
            await self.backing.ready("mlflow")
        if self._registry_is_new or not await bootstrap.has_champion(self.environment["MLFLOW_TRACKING_URI"]):
            await self._functions.wait()
            await self._train()
        self._champion_since = time.monotonic()

    async def _train(self) -> None:
        self._announce("no champion model yet: training the first one (about a minute)")
        started = time.monotonic()
        url, log = self.emulator.urls[TRAINER], log_path(self._settings.home, TRAINER)
        training = self._training = asyncio.create_task(bootstrap.train(url, log, self._announce))
        appeared = asyncio.create_task(bootstrap.champion_appears(self.environment["MLFLOW_TRACKING_URI"]))
        # Decisions need the champion only: the challenger is still being trained when it appears.
        try:
            await asyncio.wait({training, appeared}, return_when=asyncio.FIRST_COMPLETED)
            if training.done():
                training.result()
        finally:
            appeared.cancel()
        self._announce(f"champion model registered after {time.monotonic() - started:.0f} s")

    def _decision_due(self) -> float:
        return self._champion_since + _FIRST_DECISION_SECONDS

    async def _decided(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"{self._admin_url}/services/{SCORER}/metrics") as answer:
                return sum_metric(await answer.text(), "fraud_predictions_total") > 0
        except aiohttp.ClientError:
            return False

    def _service_changed(self, name: str) -> None:
        statuses = self.backing.status()
        status = next(one for one in statuses if one.name == name)
        if status.state == "ready":
            self._announce(f"{name} is ready ({status.address})")
        elif status.state == "restarting":
            self._announce(f"{name} {status.reason}: starting it again")
        self._on_change(statuses)


async def _until(condition: Callable[[], Awaitable[bool]], deadline: Callable[[], float], what: str) -> None:
    """Wait until the condition holds.

    Raises:
        TimeoutError: It does not by the deadline, in `time.monotonic` seconds; the message says what was waited for.
    """
    while not await condition():
        if time.monotonic() > deadline():
            raise TimeoutError(f"{what} did not come in time")
        await asyncio.sleep(_POLL_SECONDS)


async def _all_or_first_error(*works: Coroutine[Any, Any, None]) -> None:
    """Run side by side; after the first error cancel the others and raise it."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
