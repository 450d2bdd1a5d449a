"""How far the groups are behind, by the broker's own word and whether or not we hold the partitions."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec  # type: ignore[attr-defined]

from shared.emulator.delivery.metrics import DeliveryMetrics
from shared.emulator.delivery.plan import SourcePlan

_LOOK_EVERY: Final = 2.0
_TIMEOUT: Final = 5.0
_SPEC: Any = _OffsetSpec  # the client has no types for it
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a group stands in a partition.

    Attributes:
        committed: Offset of the next record the group would read after a restart; None before its first commit.
        start: Lowest offset of the log.
        end: Offset that the next record will get.
    """

    committed: int | None
    start: int
    end: int

    @property
    def lag(self) -> int:
        """Records that wait for the group."""
        return max(0, self.end - max(self.committed or 0, self.start))


class Watched(Protocol):
    """A source whose lag is watched."""

    plan: SourcePlan
    positions: dict[tuple[str, int], LogPosition]


async def watch_lag(sources: Sequence[Watched], metrics: DeliveryMetrics) -> None:
    """Keep `positions` of the sources and the lag metric up to date, for ever.

    Old values stand while a broker is away.
    """
    clients = {
        servers: AdminClient(
            {"bootstrap.servers": servers, "client.id": "kafkasource-lag", "reconnect.backoff.max.ms": 1_000},
            logger=_log,
        )
        for servers in {source.plan.bootstrap_servers for source in sources}
    }
    while True:
        for source in sources:
            try:
                positions = await asyncio.to_thread(_positions, clients[source.plan.bootstrap_servers], source.plan)
            except KafkaException as error:
                _log.info("lag of %s is not known: %s", source.plan.name, error)
                continue
            source.positions.update(positions)
            for (topic, number), position in positions.items():
                metrics.lag.labels(source.plan.name, f"{topic}-{number}").set(position.lag)
        await asyncio.sleep(_LOOK_EVERY)


def _positions(client: Any, plan: SourcePlan) -> dict[tuple[str, int], LogPosition]:
    partitions = [
        TopicPartition(topic, number)
        for topic in plan.topics
        for number in client.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
    ]
    if not partitions:
        return {}
    ends = _offsets(client, partitions, _SPEC.latest())
    starts = _offsets(client, partitions, _SPEC.earliest())
    request = ConsumerGroupTopicPartitions(plan.group, partitions)
    answer = client.list_consumer_group_offsets([request], request_timeout=_TIMEOUT)[plan.group].result()
    committed = {(known.topic, known.partition): known.offset for known in answer.topic_partitions}
    return {
        key: LogPosition(offset if (offset := committed.get(key, -1)) >= 0 else None, starts[key], end)
        for key, end in ends.items()
    }


def _offsets(client: Any, partitions: list[TopicPartition], which: Any) -> dict[tuple[str, int], int]:
    answers = client.list_offsets(dict.fromkeys(partitions, which), request_timeout=_TIMEOUT)
    return {(partition.topic, partition.partition): answer.result().offset for partition, answer in answers.items()}
