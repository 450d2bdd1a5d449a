"""The emulator's admin interface: status, metrics, and where Prometheus finds every replica."""

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from shared.backing.ports import PortTaken, holder
from shared.emulator.exposition import add_up

if TYPE_CHECKING:
    from shared.emulator.emulator import Emulator

_TEXT = "text/plain; version=0.0.4"
_SCRAPE_SECONDS = 5.0


class AdminServer:
    """Serves /status, /metrics, /services/NAME/metrics and /targets on loopback.

    Args:
        emulator: Whose state is told.
        port: TCP port.
    """

    def __init__(self, emulator: "Emulator", port: int) -> None:
        self._emulator = emulator
        self._port = port
        self._runner: web.AppRunner | None = None
        self._http: ClientSession | None = None

    @property
    def url(self) -> str:
        """Address of the interface."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            PortTaken: another process holds the port.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/metrics", self._metrics),
                web.get("/services/{name}/metrics", self._service_metrics),
                web.get("/targets", self._targets),
            ]
        )
        self._http = ClientSession(timeout=ClientTimeout(_SCRAPE_SECONDS))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError as error:
            raise PortTaken(
                f"port {self._port} for the emulator's admin interface is taken by {holder(self._port)}"
            ) from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._emulator.status())

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=_emulator_metrics(self._emulator), headers={"content-type": _TEXT})

    async def _service_metrics(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self._emulator.services:
            runner = self._emulator.services[name]
            ports = {replica.name: replica.port for replica in runner.replicas if replica.port}
            retired = runner.retired_metrics
        elif name in self._emulator.programs:
            ports, retired = self._emulator.programs[name].ports, []
        else:
            raise web.HTTPNotFound(text=f"no service or program {name}")
        texts = await asyncio.gather(*map(self._scrape, ports.values()))
        live = {replica: text for replica, text in zip(ports, texts, strict=True) if text is not None}
        return web.Response(text=add_up(live, retired), headers={"content-type": _TEXT})

    async def _scrape(self, port: int) -> str | None:
        """A replica's exposition; None from one that is just starting or ending."""
        assert self._http is not None  # noqa: S101 - set by start()
        try:
            async with self._http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                return await answer.text() if answer.status == 200 else None
        except (ClientError, TimeoutError):
            return None

    async def _targets(self, _: web.Request) -> web.Response:
        """Prometheus' http_sd format: one target per replica."""
        ports = [
            (name, replica.name, replica.port)
            for name, runner in self._emulator.services.items()
            for replica in runner.ready
        ]
        ports += [
            (name, copy, port)
            for name, program in self._emulator.programs.items()
            for copy, port in program.ports.items()
        ]
        targets: list[dict[str, Any]] = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name, "replica": replica}}
            for name, replica, port in ports
        ]
        if self._emulator.delivery_address is not None:
            targets.append({"targets": [self._emulator.delivery_address], "labels": {"service": "delivery"}})
        return web.json_response(targets)


def _emulator_metrics(emulator: "Emulator") -> bytes:
    registry = CollectorRegistry()
    ready = Gauge("emulator_replicas_ready", "Replicas that take requests.", ["service"], registry=registry)
    desired = Gauge("emulator_replicas_desired", "Replicas that the autoscaler wants.", ["service"], registry=registry)
    load = Gauge(
        "emulator_concurrency", "Requests in flight, average of the last second.", ["service"], registry=registry
    )
    restarts = Counter("emulator_restarts", "Replicas started again after a crash.", ["service"], registry=registry)
    for name, runner in emulator.services.items():
        ready.labels(name).set(len(runner.ready))
        desired.labels(name).set(runner.desired)
        load.labels(name).set(runner.concurrency)
        restarts.labels(name).inc(runner.crashes.restarts)
    return generate_latest(registry)
