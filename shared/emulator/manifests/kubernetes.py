"""The plain Kubernetes kinds: containers and their environment, ConfigMap, Secret, Deployment."""

from base64 import b64decode
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from shared.emulator.manifests.model import CpuCores, MemoryBytes, Model, cluster_only

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class Metadata(Model):
    """Object metadata. Annotations that steer Knative's autoscaler belong to the template and are refused here."""

    name: Name
    namespace: Name | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @field_validator("annotations")
    @classmethod
    def _no_autoscaling(cls, annotations: dict[str, str]) -> dict[str, str]:
        for key in annotations:
            if key.startswith("autoscaling.knative.dev/"):
                raise ValueError(f"{key} belongs under spec.template.metadata.annotations of a Service")
        return annotations


class PodMetadata(Model):
    """Metadata of a Deployment's pods: they carry no instruction for the emulator."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class KeySelector(Model):
    """One key of a ConfigMap or Secret."""

    name: Name
    key: str
    optional: bool = False


class EnvSource(Model):
    """Where the value of an environment variable comes from; exactly one of the two."""

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.config_map_key_ref is None) == (self.secret_key_ref is None):
            raise ValueError("give one of configMapKeyRef, secretKeyRef")
        return self


class EnvVar(Model):
    """An environment variable with a value or a source of one."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: str = ""
    value_from: EnvSource | None = None


class EnvReference(Model):
    """A whole ConfigMap or Secret as environment."""

    name: Name
    optional: bool = False


class EnvFromSource(Model):
    """All keys of a ConfigMap or Secret as environment variables."""

    prefix: str = ""
    config_map_ref: EnvReference | None = None
    secret_ref: EnvReference | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.config_map_ref is None) == (self.secret_ref is None):
            raise ValueError("give one of configMapRef, secretRef")
        return self


class HttpGet(Model):
    """The HTTP request of a probe."""

    path: Annotated[str, Field(pattern="^/")] = "/"
    port: Any = cluster_only("the emulator probes each replica's own port")


class Probe(Model):
    """An HTTP probe. A replica is probed by the emulator as by queue-proxy and kubelet.

    A readiness probe without a period is probed in a rhythm of Knative's own: at once and often until it succeeds.
    """

    http_get: HttpGet
    initial_delay_seconds: Annotated[int, Field(ge=0)] = 0
    period_seconds: Annotated[int, Field(ge=0)] = 0
    timeout_seconds: Annotated[int, Field(ge=0)] = 0
    failure_threshold: Annotated[int, Field(ge=0)] = 0
    success_threshold: Any = cluster_only("one good answer makes a replica ready here")

    @property
    def period(self) -> int:
        """Seconds between two probes of a running replica."""
        return self.period_seconds or 10

    @property
    def timeout(self) -> int:
        """Seconds to wait for an answer."""
        return self.timeout_seconds or (1 if self.period_seconds else 10)

    @property
    def failures(self) -> int:
        """Failures in a row that count."""
        return self.failure_threshold or 3


class ResourceList(Model):
    """CPU in cores and memory in bytes."""

    cpu: CpuCores | None = None
    memory: MemoryBytes | None = None
    ephemeral_storage: MemoryBytes | None = Field(default=None, alias="ephemeral-storage")


class Resources(Model):
    """Requested CPU becomes the scheduling weight of the replicas."""

    requests: ResourceList = ResourceList()
    limits: ResourceList | None = cluster_only("replicas share this machine; the kernel's fair share is the limit")


class ContainerPort(Model):
    """The port that the function listens on, on a cluster."""

    container_port: Annotated[int, Field(ge=1024, le=65535)] | None = cluster_only("replicas get their port by PORT")
    name: Literal["http1"] | None = None
    protocol: Literal["TCP"] = "TCP"


class VolumeMount(Model):
    """A mounted volume; the emulator hands the one writable folder over as FRAUD_STATE_DIR."""

    name: Name
    mount_path: str
    read_only: bool = False


class Volume(Model):
    """A volume of a pod; only the pod's own scratch folder exists outside a cluster."""

    name: Name
    empty_dir: dict[str, Any]


class PodContainer(Model):
    """What containers of functions and programs have in common; their images are made from this source tree."""

    name: Name | None = None
    image: str
    image_pull_policy: Any = cluster_only("no image is pulled: the function runs from source")
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    ports: Annotated[tuple[ContainerPort, ...], Field(max_length=1)] = ()
    resources: Resources = Resources()
    volume_mounts: tuple[VolumeMount, ...] = ()
    security_context: Any = cluster_only("replicas run as the user who started the emulator")
    termination_message_policy: Any = cluster_only("the reason of a crash is taken from the log")


class Container(PodContainer):
    """The container of a function, which runs what FUNCTION_TARGET and FUNCTION_SOURCE say."""

    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None

    @field_validator("readiness_probe")
    @classmethod
    def _own_rhythm(cls, probe: Probe | None) -> Probe | None:
        if probe is not None and not probe.period_seconds and (probe.timeout_seconds or probe.failure_threshold):
            raise ValueError("timeoutSeconds and failureThreshold need a periodSeconds")
        return probe


class ProgramContainer(PodContainer):
    """The container of a Deployment, which says what it runs."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    args: tuple[str, ...] = ()
    readiness_probe: Any = cluster_only("no request is routed to a program")
    liveness_probe: Any = cluster_only("a program is started again when it ends")
    startup_probe: Any = cluster_only("nothing waits for a program")


class PodFields(Model):
    """What the pods of Services and Deployments have in common."""

    volumes: tuple[Volume, ...] = ()
    service_account_name: Any = cluster_only("there is no Kubernetes API to be authorised for")
    automount_service_account_token: Any = cluster_only("there is no Kubernetes API to be authorised for")
    enable_service_links: Any = cluster_only("there are no Kubernetes Services to list in the environment")
    image_pull_secrets: Any = cluster_only("no image is pulled")
    security_context: Any = cluster_only("replicas run as the user who started the emulator")
    node_selector: Any = cluster_only("there is one machine")
    tolerations: Any = cluster_only("there is one machine")
    affinity: Any = cluster_only("there is one machine")
    topology_spread_constraints: Any = cluster_only("there is one machine")
    priority_class_name: Any = cluster_only("CPU requests give the scheduling weight")


class PodSpec(PodFields):
    """The pod of a Deployment."""

    containers: Annotated[tuple[ProgramContainer, ...], Field(min_length=1, max_length=1)]
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] = 30
    restart_policy: Literal["Always"] = "Always"


class PodTemplate(Model):
    """Template of a Deployment's pods."""

    metadata: PodMetadata = PodMetadata()
    spec: PodSpec


class LabelSelector(Model):
    """Selector of a Deployment's own pods."""

    match_labels: dict[str, str]


class DeploymentSpec(Model):
    """A program that runs all the time, without autoscaling."""

    replicas: Annotated[int, Field(ge=0)] = 1
    selector: LabelSelector
    template: PodTemplate
    strategy: Any = cluster_only("a manifest is read once, there is no rollout")
    revision_history_limit: Any = cluster_only("a manifest is read once, there is no rollout")
    progress_deadline_seconds: Any = cluster_only("a manifest is read once, there is no rollout")


class Deployment(Model):
    """apps/v1 Deployment."""

    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: Metadata
    spec: DeploymentSpec

    @property
    def container(self) -> ProgramContainer:
        """The pod's only container."""
        return self.spec.template.spec.containers[0]


class ConfigMap(Model):
    """v1 ConfigMap of environment variables."""

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: Metadata
    data: dict[str, str] = Field(default_factory=dict)
    immutable: Any = cluster_only("a manifest is read once")


class Secret(Model):
    """v1 Secret of environment variables."""

    api_version: Literal["v1"]
    kind: Literal["Secret"]
    metadata: Metadata
    type: Literal["Opaque"] = "Opaque"
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)

    def values(self) -> dict[str, str]:
        """All keys with their decoded values; `stringData` wins, as on a cluster."""
        return {key: b64decode(text).decode() for key, text in self.data.items()} | self.string_data
