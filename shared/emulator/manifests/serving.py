"""serving.knative.dev/v1 Service with the autoscaling annotations of its template.

Bounds are those of Knative's admission webhook (knative/serving, pkg/apis/autoscaling/annotation_validation.go
and pkg/apis/serving/v1/revision_validation.go), so what passes here passes there.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from shared.emulator.manifests.kubernetes import Container, Metadata, PodFields
from shared.emulator.manifests.model import FloatText, GoSeconds, IntText, Model, cluster_only

DEFAULT_TIMEOUT_SECONDS = 300
MAX_TIMEOUT_SECONDS = 600

_PREFIX = "autoscaling.knative.dev/"
_CLUSTER_ONLY_ANNOTATIONS = {
    "queue.sidecar.serving.knative.dev": "the queue-proxy is part of the replica and has no resources of its own",
    "serving.knative.dev/rollout-duration": "a manifest is read once, there is no rollout",
}


def _key(field: str) -> str:
    return _PREFIX + field.replace("_", "-")


class AutoscalingAnnotations(Model):
    """The annotations of a revision template that steer its scale; times in seconds, None = the cluster's default.

    Annotations outside knative.dev say nothing to Knative and are left out; an unknown one inside is an error.
    """

    model_config = ConfigDict(alias_generator=_key)

    class_: Literal["kpa.autoscaling.knative.dev"] = Field("kpa.autoscaling.knative.dev", alias=_PREFIX + "class")
    metric: Literal["concurrency", "rps"] = "concurrency"
    target: Annotated[FloatText, Field(ge=0.01)] | None = None
    target_utilization_percentage: Annotated[FloatText, Field(ge=1, le=100)] | None = None
    target_burst_capacity: Annotated[FloatText, Field(ge=-1)] | None = None
    min_scale: Annotated[IntText, Field(ge=0)] | None = None
    max_scale: Annotated[IntText, Field(ge=0)] | None = None
    initial_scale: Annotated[IntText, Field(ge=1)] | None = None
    activation_scale: Annotated[IntText, Field(ge=2)] | None = None
    window: Annotated[GoSeconds, Field(ge=6, le=3600, multiple_of=1)] | None = None
    scale_down_delay: Annotated[GoSeconds, Field(ge=0, le=3600, multiple_of=1)] | None = None
    scale_to_zero_pod_retention_period: Annotated[GoSeconds, Field(ge=0, le=3600)] | None = None
    panic_window_percentage: Annotated[FloatText, Field(ge=1, le=100)] | None = None
    panic_threshold_percentage: Annotated[FloatText, Field(ge=110, le=1000)] | None = None
    progress_deadline: Annotated[GoSeconds, Field(ge=1, multiple_of=1)] | None = Field(
        None, alias="serving.knative.dev/progress-deadline"
    )

    @model_validator(mode="before")
    @classmethod
    def _only_knative(cls, annotations: object) -> object:
        if not isinstance(annotations, dict):
            return annotations
        return {key: value for key, value in annotations.items() if _is_instruction(str(key))}

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        low, high = self.min_scale or 0, self.max_scale or 0
        if high and high < low:
            raise ValueError(f"{_PREFIX}max-scale={high} is less than min-scale={low}")
        if self.activation_scale is not None and (self.activation_scale < low or 0 < high < self.activation_scale):
            raise ValueError(f"{_PREFIX}activation-scale={self.activation_scale} is not in [min-scale, max-scale]")
        return self


def _is_instruction(annotation: str) -> bool:
    domain = annotation.partition("/")[0]
    if annotation in _CLUSTER_ONLY_ANNOTATIONS or domain in _CLUSTER_ONLY_ANNOTATIONS:
        return False
    return domain == "knative.dev" or domain.endswith(".knative.dev")


class TemplateMetadata(Model):
    """Metadata of a revision template."""

    name: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: AutoscalingAnnotations = AutoscalingAnnotations()


class RevisionSpec(PodFields):
    """What a revision runs, and how many requests it takes at once."""

    containers: Annotated[tuple[Container, ...], Field(min_length=1, max_length=1)]
    container_concurrency: Annotated[int, Field(ge=0, le=1000)] = 0
    timeout_seconds: Annotated[int, Field(ge=0, le=MAX_TIMEOUT_SECONDS)] = DEFAULT_TIMEOUT_SECONDS

    @field_validator("timeout_seconds")
    @classmethod
    def _zero_is_default(cls, seconds: int) -> int:
        return seconds or DEFAULT_TIMEOUT_SECONDS


class RevisionTemplate(Model):
    """Template of the revision."""

    metadata: TemplateMetadata = TemplateMetadata()
    spec: RevisionSpec


class TrafficTarget(Model):
    """All traffic to the revision of this manifest: the emulator runs no other."""

    latest_revision: Literal[True]
    percent: Literal[100]


class ServiceSpec(Model):
    """A function with its revision template."""

    template: RevisionTemplate
    traffic: Annotated[tuple[TrafficTarget, ...], Field(max_length=1)] = ()


class Service(Model):
    """serving.knative.dev/v1 Service: one function."""

    api_version: Literal["serving.knative.dev/v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec
    status: Any = cluster_only("written by the control plane")

    @property
    def name(self) -> str:
        """The service's name, which is its address too."""
        return self.metadata.name

    @property
    def container(self) -> Container:
        """The function's container."""
        return self.spec.template.spec.containers[0]

    @property
    def revision(self) -> str:
        """Name of the one revision, as Knative names the first."""
        return self.spec.template.metadata.name or f"{self.name}-00001"

    @property
    def autoscaling(self) -> AutoscalingAnnotations:
        """The template's autoscaling annotations."""
        return self.spec.template.metadata.annotations
