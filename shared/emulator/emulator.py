"""The emulator: runs a folder of Knative manifests on this machine, without a container runtime."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from shared.backing.ports import free_ports
from shared.emulator.admin import AdminServer
from shared.emulator.autoscaler import LOCAL_DEFAULTS, AutoscalerConfig, ScaleSpec
from shared.emulator.environment import container_environment, niceness, service_environment
from shared.emulator.listener import listen
from shared.emulator.log_files import LogFile, log_path
from shared.emulator.manifests import Deployment, Service, load_manifests
from shared.emulator.program_runner import Program, ProgramRunner
from shared.emulator.replica_process import ReplicaTemplate
from shared.emulator.replica_settings import ReplicaSettings
from shared.emulator.service_runner import ServiceRunner

FIRST_PORT = 8000
ADMIN_PORT = 8090
STOP_SECONDS = 30.0

_DELIVERY_GRACE = 12.0
_DELIVERY_NICENESS = 5  # events can wait, requests cannot
_DELIVERY_POLL = 1.0
_PROGRAMS_GRACE = 5.0


class Emulator:
    """Runs the services, programs and event sources that a folder of manifests declares.

    Args:
        manifests: Folder of manifests, such as `knative/base`.
        environment: Addresses of the backing services and other values that win over the manifests' own; every
            container gets them.
        home: State folder: logs, each service's writable folder, the addresses for the delivery process.
        ports: Port by service name. The others get the free numbers from 8000 on, in the order of the manifests.
        admin_port: Port of the admin interface.
        project: Working directory of all functions; their FUNCTION_SOURCE is relative to it.
        autoscaler: What the ConfigMap `config-autoscaler` says on a cluster.

    Raises:
        ManifestError: a manifest that cannot be honoured.
    """

    def __init__(
        self,
        manifests: Path,
        environment: Mapping[str, str],
        home: Path,
        ports: Mapping[str, int] | None = None,
        *,
        admin_port: int = ADMIN_PORT,
        project: Path | None = None,
        autoscaler: AutoscalerConfig = LOCAL_DEFAULTS,
    ) -> None:
        self._folder = manifests.absolute()
        self._manifests = load_manifests(manifests)
        self._given = dict(environment)
        self._home = home.absolute()
        self._project = (project or Path.cwd()).absolute()
        self._config = autoscaler
        self._ports = _assign_ports(list(self._manifests.services), ports or {})
        (self._delivery_port,) = free_ports(1)
        self._services: dict[str, ServiceRunner] = {}
        self._programs: dict[str, ProgramRunner] = {}
        self._delivery: ProgramRunner | None = None
        self._delivery_told: dict[str, Any] = {}
        self._following: asyncio.Task[None] | None = None
        self._logs: list[LogFile] = []
        self._admin = AdminServer(self, admin_port)
        self._check_environment()

    @property
    def services(self) -> Mapping[str, ServiceRunner]:
        """The running services by name."""
        return self._services

    @property
    def programs(self) -> Mapping[str, ProgramRunner]:
        """The running Deployments by name."""
        return self._programs

    @property
    def urls(self) -> dict[str, str]:
        """Address of each service."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}

    @property
    def admin_url(self) -> str:
        """Address of the admin interface."""
        return self._admin.url

    async def start(self) -> None:
        """Open all addresses, then start everything; returns when all is started, not when all is ready.

        Raises:
            PortTaken: a port that another process holds; nothing is left running.
        """
        try:
            for name, service in self._manifests.services.items():
                self._services[name] = self._service(service)
            await self._admin.start()
        except BaseException:
            await self.stop()
            raise
        for runner in self._services.values():
            await runner.start()
        if self._manifests.kafka_sources or self._manifests.ping_sources:
            self._delivery = self._delivery_program()
            await self._delivery.start()
            self._following = asyncio.create_task(self._follow_delivery())
        for name, deployment in self._manifests.deployments.items():
            self._programs[name] = self._program(deployment)
            await self._programs[name].start()

    async def until_ready(self, seconds: float, *names: str) -> None:
        """Wait until every service has the replicas that its manifest demands at least.

        Args:
            seconds: Longest wait.
            names: The services to wait for; none = all.

        Raises:
            TimeoutError: one that is not ready, with the reason of its failure.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        for name in names or self._services:
            runner = self._services[name]
            needed = max(runner.service.autoscaling.min_scale or 0, self._config.min_scale)
            while len(runner.ready) < needed:
                if runner.crashes.failing:
                    raise TimeoutError(f"service {name} does not start: {runner.crashes.reason}")
                if asyncio.get_running_loop().time() > deadline:
                    raise TimeoutError(f"service {name} is not ready after {seconds:g} s: {runner.crashes.reason}")
                await asyncio.sleep(0.05)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop in order and within a bound: producers of work first, then delivery, then services drain.

        Args:
            seconds: Longest time altogether; what is left then is killed.
        """
        deadline = asyncio.get_running_loop().time() + seconds

        def left(share: float) -> float:
            return max(0.5, min(share, deadline - asyncio.get_running_loop().time()))

        await asyncio.gather(*(program.stop(left(_PROGRAMS_GRACE)) for program in self._programs.values()))
        if self._delivery is not None:
            await self._delivery.stop(left(_DELIVERY_GRACE))
        if self._following is not None:
            self._following.cancel()
        await asyncio.gather(*(runner.stop(left(seconds)) for runner in self._services.values()))
        await self._admin.stop()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def status(self) -> dict[str, Any]:
        """Everything as JSON: services and Deployments with their replicas and restarts, delivery with its lag."""
        return {
            "services": {name: runner.status() for name, runner in self._services.items()},
            "programs": {name: runner.status() for name, runner in self._programs.items()},
            "delivery": None if self._delivery is None else self._delivery.status() | self._delivery_told,
        }

    @property
    def delivery_address(self) -> str | None:
        """Where the delivery process tells its status and metrics; None when there is nothing to deliver."""
        return None if self._delivery is None else f"127.0.0.1:{self._delivery_port}"

    async def _follow_delivery(self) -> None:
        """Keep what the delivery process says of itself, lag included."""
        async with ClientSession(timeout=ClientTimeout(2)) as http:
            while True:
                try:
                    async with http.get(f"http://{self.delivery_address}/status") as answer:
                        self._delivery_told = {"told": time.time(), **await answer.json()}
                except (ClientError, TimeoutError, ValueError) as error:
                    self._delivery_told |= {"unreachable": repr(error)}
                await asyncio.sleep(_DELIVERY_POLL)

    def _service(self, service: Service) -> ServiceRunner:
        port = self._ports[service.name]
        state = self._home / "functions" / service.name
        state.mkdir(parents=True, exist_ok=True)
        container = service.container
        environment = container_environment(self._manifests, service, container, self._given, self.urls)
        environment |= service_environment(service, port) | {"FRAUD_STATE_DIR": str(state)}
        spec = service.spec.template.spec
        template = ReplicaTemplate(
            environment=environment,
            folder=self._project,
            settings=ReplicaSettings(
                concurrency=spec.container_concurrency,
                timeout=spec.timeout_seconds,
                grace=spec.timeout_seconds,
                niceness=niceness(container),
            ),
            listener=listen(service.name, port),
            log=self._log(service.name),
            readiness=container.readiness_probe,
            liveness=container.liveness_probe,
        )
        return ServiceRunner(service, template, ScaleSpec.resolve(service, self._config))

    def _program(self, deployment: Deployment) -> ProgramRunner:
        name, container = deployment.metadata.name, deployment.container
        state = self._home / "functions" / name
        state.mkdir(parents=True, exist_ok=True)
        environment = container_environment(self._manifests, deployment, container, self._given, self.urls)
        program = Program(
            name=name,
            command=(*container.command, *container.args),
            environment=environment | {"FRAUD_STATE_DIR": str(state)},
            folder=self._project,
            grace=deployment.spec.template.spec.termination_grace_period_seconds,
            niceness=niceness(container),
            listens=bool(container.ports),
        )
        return ProgramRunner(program, deployment.spec.replicas, self._log(name))

    def _delivery_program(self) -> ProgramRunner:
        targets = self._home / "run" / "targets.json"
        targets.parent.mkdir(parents=True, exist_ok=True)
        targets.write_text(json.dumps(self.urls))
        options = {
            "manifests": self._folder,
            "targets": targets,
            "home": self._home / "delivery",
            "port": self._delivery_port,
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "shared.emulator.delivery", *arguments]
        environment = {**os.environ, **self._given, "PYTHONUNBUFFERED": "1"}
        program = Program("delivery", command, environment, self._project, _DELIVERY_GRACE, _DELIVERY_NICENESS)
        return ProgramRunner(program, 1, self._log("delivery"))

    def _log(self, service: str) -> LogFile:
        log = LogFile(log_path(self._home, service), service)
        self._logs.append(log)
        return log

    def _check_environment(self) -> None:
        """Find missing ConfigMaps and Secrets before anything runs."""
        for service in self._manifests.services.values():
            container_environment(self._manifests, service, service.container, self._given, self.urls)
        for deployment in self._manifests.deployments.values():
            container_environment(self._manifests, deployment, deployment.container, self._given, self.urls)


def _assign_ports(services: list[str], chosen: Mapping[str, int]) -> dict[str, int]:
    """A port for each service: the chosen one, or the next free number in the order of the manifests."""
    unknown = set(chosen) - set(services)
    if unknown:
        raise ValueError(f"ports are given for unknown services: {', '.join(sorted(unknown))}")
    taken = set(chosen.values())
    numbers = (number for number in range(FIRST_PORT, 65536) if number not in taken)
    return {name: chosen[name] if name in chosen else next(numbers) for name in services}
