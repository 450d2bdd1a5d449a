"""All sources of a manifest folder in one event loop."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from shared.emulator.delivery.admin_server import serve_admin
from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.ping import PingSourceRunner
from shared.emulator.delivery.plan import PingPlan, SourcePlan
from shared.emulator.delivery.sender import Sender
from shared.emulator.delivery.sink_producer import SinkProducer
from shared.emulator.delivery.source import KafkaSourceRunner
from shared.emulator.delivery.targets import Targets


class Dispatcher:
    """Runs sources until it is told to stop.

    Args:
        kafka_sources: What to deliver from Kafka.
        ping_sources: What to deliver by schedule.
        targets: File of service addresses.
        home: Folder for what is to survive a restart.
    """

    def __init__(
        self, kafka_sources: Sequence[SourcePlan], ping_sources: Sequence[PingPlan], targets: Path, home: Path
    ) -> None:
        self._kafka_plans = kafka_sources
        self._ping_plans = ping_sources
        self._targets = Targets(targets)
        self._home = home
        self._metrics = DeliveryMetrics()
        self._kafka: list[KafkaSourceRunner] = []
        self._pings: list[PingSourceRunner] = []

    def status(self) -> dict[str, Any]:
        """Return the document of `/status`."""
        kafka_sources = {runner.plan.name: runner.status() for runner in self._kafka}
        return {
            "ready": all(runner.ready for runner in self._kafka),
            "lag": sum(source["lag"] for source in kafka_sources.values()),
            "kafka_sources": kafka_sources,
            "ping_sources": {runner.plan.name: runner.status() for runner in self._pings},
        }

    async def run(self, host: str, port: int, stop: asyncio.Event, grace: float) -> None:
        """Deliver until `stop` is set, then settle what is in flight within `grace` seconds.

        Raises:
            OSError: The port is taken.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            sender = await stack.enter_async_context(Sender())
            producers = self._producers(stack)
            for plan in self._kafka_plans:
                sink = producers.get(plan.dead_letters.bootstrap_servers) if plan.dead_letters else None
                self._kafka.append(KafkaSourceRunner(plan, sender, self._targets, self._metrics, sink))
            for ping in self._ping_plans:
                self._pings.append(PingSourceRunner(ping, sender, self._targets, self._metrics, self._home))
            server = await serve_admin(host, port, self.status, self._metrics.registry)
            stack.push_async_callback(server.cleanup)
            follower = asyncio.create_task(self._targets.follow())
            runners: list[KafkaSourceRunner | PingSourceRunner] = [*self._kafka, *self._pings]
            for runner in runners:
                runner.start()
            await stop.wait()
            await asyncio.gather(*(runner.stop(grace) for runner in runners))
            follower.cancel()

    def _producers(self, stack: AsyncExitStack) -> dict[str, SinkProducer]:
        clusters = {plan.dead_letters.bootstrap_servers for plan in self._kafka_plans if plan.dead_letters}
        producers = {servers: SinkProducer(servers, "kafkasink") for servers in clusters}
        for producer in producers.values():
            stack.callback(producer.close, 1.0)
        return producers
