"""Kafka seen from a client: is it ready, and does it have the project's topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shared.backing.service import NotReady
from shared.bus.connection import connection
from shared.bus.topics import PARTITIONS, TOPICS

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 1.0
_GROUP: Final = "fraud.probe"


class KafkaProbe:
    """Probes one cluster, with one client until it is ready; blocking.

    Args:
        bootstrap_servers: Address, "host:port[,host:port]".
        create_groups_topic: Also ask for a group coordinator, which makes a fresh broker create its offsets
            topic: the first consumer would wait three seconds for that.
    """

    def __init__(self, bootstrap_servers: str, *, create_groups_topic: bool = False) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._warm_groups = create_groups_topic
        self._client: AdminClient | None = None

    def probe(self) -> None:
        """Check that every topic of the project has its partitions, each with a leader; make missing topics.

        Raises:
            NotReady: The cluster does not answer, or can not serve a topic yet.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415

        try:
            metadata = self._admin().list_topics(timeout=_TIMEOUT_SECONDS)
            if missing := [topic for topic in TOPICS if topic not in metadata.topics]:
                self._create(missing)
                metadata = self._admin().list_topics(timeout=_TIMEOUT_SECONDS)
            _require_leaders(metadata)
            if self._warm_groups:
                # Asked again and again with short patience: a fresh broker leaves the first question unanswered.
                groups = self._admin().describe_consumer_groups([_GROUP], request_timeout=_PATIENCE_SECONDS)
                for group in groups.values():
                    group.result(_PATIENCE_SECONDS)
        except (KafkaException, TimeoutError) as error:
            raise NotReady(str(error) or "no answer in time") from error
        # Let go while the broker is there: librdkafka 2.16 was seen to hang when a client was closed after it.
        self._client = None

    def _admin(self) -> AdminClient:
        if self._client is None:
            from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - 0.1 s

            self._client = AdminClient(
                {
                    **connection(self._bootstrap_servers),
                    "reconnect.backoff.ms": 50,
                    "reconnect.backoff.max.ms": 250,
                    "log_level": 0,  # a refused connection is an answer here, not news
                }
            )
        return self._client

    def _create(self, topics: list[str]) -> None:
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415
        from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415

        created = self._admin().create_topics(
            [NewTopic(topic, num_partitions=PARTITIONS) for topic in topics], request_timeout=10
        )
        for future in created.values():
            error = future.exception(10)
            if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            if error is not None:
                raise error


def _require_leaders(metadata: Any) -> None:
    for name in TOPICS:
        topic = metadata.topics.get(name)
        if topic is None:
            raise NotReady(f"topic {name} is not there yet")
        if waiting := [number for number, partition in topic.partitions.items() if partition.leader < 0]:
            raise NotReady(f"topic {name}: partitions {waiting} have no leader yet")
