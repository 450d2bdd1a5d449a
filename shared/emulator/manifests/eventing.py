"""Sources and sinks of events: KafkaSource, PingSource, KafkaSink, and how deliveries are retried."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator, model_validator

from shared.emulator.manifests.kubernetes import Metadata, Name
from shared.emulator.manifests.model import IsoSeconds, Model, cluster_only

Kafka = Annotated[tuple[Annotated[str, Field(pattern=r"^[^:\s]+:\d+$")], ...], Field(min_length=1)]


class ObjectReference(Model):
    """Reference to an addressable object, by kind and name."""

    api_version: str
    kind: str
    name: Name
    namespace: Name | None = None


class Destination(Model):
    """Where events go: an object of these manifests, optionally with a path relative to its address."""

    ref: ObjectReference
    uri: Annotated[str, Field(pattern="^/")] | None = None


class DeliverySpec(Model):
    """Retries of one event; times in seconds. What Knative retries: >= 500, 404, 408, 409, 429, no answer."""

    retry: Annotated[int, Field(ge=0)] = 0
    backoff_policy: Literal["linear", "exponential"] = "exponential"
    backoff_delay: IsoSeconds = 0.2
    timeout: IsoSeconds | None = None
    dead_letter_sink: Destination | None = None


class KafkaSourceSpec(Model):
    """A consumer group that posts the records of topics to a service.

    `delivery` None means Knative's defaults; a present block has no defaults beyond those of its fields.
    """

    bootstrap_servers: Kafka
    topics: Annotated[tuple[str, ...], Field(min_length=1)]
    consumer_group: str
    consumers: Annotated[int, Field(ge=1)] = 1
    initial_offset: Literal["earliest", "latest"] = "latest"
    ordering: Literal["ordered", "unordered"] = "ordered"
    delivery: DeliverySpec | None = None
    sink: Destination


class KafkaSource(Model):
    """sources.knative.dev KafkaSource; v1beta1 is served by all releases, v1 by the later ones, both are equal."""

    api_version: Literal["sources.knative.dev/v1beta1", "sources.knative.dev/v1"]
    kind: Literal["KafkaSource"]
    metadata: Metadata
    spec: KafkaSourceSpec

    @property
    def name(self) -> str:
        """The source's name."""
        return self.metadata.name


class PingSourceSpec(Model):
    """A cron schedule that posts an event to a service."""

    schedule: str
    timezone: str = "UTC"
    content_type: str | None = None
    data: str | None = None
    sink: Destination

    @field_validator("schedule")
    @classmethod
    def _cron(cls, schedule: str) -> str:
        if len(schedule.split()) != 5:
            raise ValueError(f"{schedule!r} is not a cron schedule of five fields")
        try:
            CronSim(schedule, datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(f"{schedule!r} is not a cron schedule: {error}") from error
        return schedule

    @field_validator("timezone")
    @classmethod
    def _zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{timezone!r} is not a time zone") from error
        return timezone

    @model_validator(mode="after")
    def _typed_data(self) -> Self:
        if self.data is not None and self.content_type is None:
            raise ValueError("data needs a contentType")
        return self


class PingSource(Model):
    """sources.knative.dev/v1 PingSource."""

    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSourceSpec

    @property
    def name(self) -> str:
        """The source's name."""
        return self.metadata.name


class KafkaSinkSpec(Model):
    """A topic that events are written to."""

    bootstrap_servers: Kafka
    topic: str
    content_mode: Literal["binary", "structured"] = "structured"
    num_partitions: Any = cluster_only("topics are made when the backing services start")
    replication_factor: Any = cluster_only("topics are made when the backing services start")


class KafkaSink(Model):
    """eventing.knative.dev/v1alpha1 KafkaSink."""

    api_version: Literal["eventing.knative.dev/v1alpha1"]
    kind: Literal["KafkaSink"]
    metadata: Metadata
    spec: KafkaSinkSpec

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.metadata.name
