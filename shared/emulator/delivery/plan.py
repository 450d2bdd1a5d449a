"""What the manifests ask of event delivery, resolved: groups, topics, sinks, retries."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.emulator.delivery.retry import KAFKA_SOURCE_DEFAULT, RetryPolicy
from shared.emulator.manifests import Destination, KafkaSource, ManifestError, Manifests, PingSource

DEFAULT_NAMESPACE: Final = "default"
REQUESTS_PER_CONSUMER: Final = 100
"""Requests in flight per consumer of a source, whatever the number of its partitions."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A Service by name, and the path on it that events go to."""

    service: str
    path: str


@dataclass(frozen=True, slots=True)
class DeadLetterTopic:
    """Where a KafkaSink writes."""

    bootstrap_servers: str
    topic: str


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One KafkaSource.

    Attributes:
        ordered: One request in flight per partition; otherwise many.
        from_end: A new group starts at the end of the topics, not at their beginning.
        max_in_flight: Requests in flight over all partitions.
    """

    name: str
    namespace: str
    bootstrap_servers: str
    topics: tuple[str, ...]
    group: str
    ordered: bool
    from_end: bool
    max_in_flight: int
    sink: Sink
    retry: RetryPolicy
    dead_letters: DeadLetterTopic | None


@dataclass(frozen=True, slots=True)
class PingPlan:
    """One PingSource; `data` is None for an event without data."""

    name: str
    namespace: str
    schedule: str
    timezone: str
    content_type: str | None
    data: bytes | None
    sink: Sink


def bootstrap_override(option: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the broker to use whatever the manifests name: the option, else KAFKA_BOOTSTRAP_SERVERS, else None."""
    return option or environment.get("KAFKA_BOOTSTRAP_SERVERS") or None


def plan_kafka_source(
    source: KafkaSource, manifests: Manifests, bootstrap_servers: str | None, requests_per_consumer: int
) -> SourcePlan:
    """Resolve a KafkaSource against the other manifests, which are known to hold its sinks.

    Args:
        source: The manifest.
        manifests: Where its KafkaSink stands.
        bootstrap_servers: The broker to use instead of those of source and sink.
        requests_per_consumer: Requests in flight per consumer.

    Raises:
        ManifestError: The KafkaSink cannot take dead letters.
    """
    spec = source.spec
    delivery = spec.delivery
    dead_letters = None
    policy = KAFKA_SOURCE_DEFAULT
    if delivery is not None:
        policy = RetryPolicy(
            retry=delivery.retry,
            backoff_policy=delivery.backoff_policy,
            backoff_delay=delivery.backoff_delay,
            timeout=delivery.timeout or KAFKA_SOURCE_DEFAULT.timeout,
        )
        if delivery.dead_letter_sink is not None:
            dead_letters = _dead_letter_topic(delivery.dead_letter_sink.ref.name, manifests, bootstrap_servers)
    return SourcePlan(
        name=source.name,
        namespace=source.metadata.namespace or DEFAULT_NAMESPACE,
        bootstrap_servers=bootstrap_servers or ",".join(spec.bootstrap_servers),
        topics=spec.topics,
        group=spec.consumer_group,
        ordered=spec.ordering == "ordered",
        from_end=spec.initial_offset == "latest",
        max_in_flight=spec.consumers * requests_per_consumer,
        sink=_sink(spec.sink),
        retry=policy,
        dead_letters=dead_letters,
    )


def _dead_letter_topic(name: str, manifests: Manifests, bootstrap_servers: str | None) -> DeadLetterTopic:
    sink = manifests.kafka_sinks[name].spec
    if sink.content_mode != "binary":
        # Structured mode would turn the record, which may be anything, into a JSON document.
        reason = "dead letters keep the record as it was, which only binary does"
        raise ManifestError(manifests.files[f"KafkaSink/{name}"], "spec.contentMode", reason)
    return DeadLetterTopic(bootstrap_servers or ",".join(sink.bootstrap_servers), sink.topic)


def plan_ping_source(source: PingSource) -> PingPlan:
    """Resolve a PingSource."""
    spec = source.spec
    return PingPlan(
        name=source.name,
        namespace=source.metadata.namespace or DEFAULT_NAMESPACE,
        schedule=spec.schedule,
        timezone=spec.timezone,
        content_type=spec.content_type,
        data=None if spec.data is None else spec.data.encode(),
        sink=_sink(spec.sink),
    )


def _sink(destination: Destination) -> Sink:
    return Sink(destination.ref.name, destination.uri or "/")
