"""Reads a folder of manifests as `kubectl apply -k` would, and checks that its parts fit together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.emulator.manifests.eventing import Destination, KafkaSink, KafkaSource, PingSource
from shared.emulator.manifests.kubernetes import ConfigMap, Deployment, PodContainer, Secret
from shared.emulator.manifests.model import ManifestError, Model
from shared.emulator.manifests.serving import Service

_KINDS: Mapping[str, type[Service | KafkaSource | PingSource | KafkaSink | ConfigMap | Secret | Deployment]] = {
    "serving.knative.dev/v1 Service": Service,
    "sources.knative.dev/v1beta1 KafkaSource": KafkaSource,
    "sources.knative.dev/v1 KafkaSource": KafkaSource,
    "sources.knative.dev/v1 PingSource": PingSource,
    "eventing.knative.dev/v1alpha1 KafkaSink": KafkaSink,
    "v1 ConfigMap": ConfigMap,
    "v1 Secret": Secret,
    "apps/v1 Deployment": Deployment,
}
CLUSTER_ONLY_KINDS: Mapping[str, str] = {
    "v1 Namespace": "everything runs in one place",
    "v1 ServiceAccount": "there is no Kubernetes API to be authorised for",
    "networking.k8s.io/v1 NetworkPolicy": "all addresses are on the loopback interface",
    "policy/v1 PodDisruptionBudget": "no node is ever drained",
}
_KUSTOMIZATION = "kustomization.yaml"
_KUSTOMIZATION_FIELDS = {"apiVersion", "kind", "namespace", "resources", "labels"}


@dataclass(frozen=True)
class Manifests:
    """Everything that a folder declares, by name; `files` maps "Kind/name" to the file it stands in."""

    services: dict[str, Service] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    kafka_sources: dict[str, KafkaSource] = field(default_factory=dict)
    ping_sources: dict[str, PingSource] = field(default_factory=dict)
    kafka_sinks: dict[str, KafkaSink] = field(default_factory=dict)
    config_maps: dict[str, ConfigMap] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def environment(self, kind: str, name: str, container: PodContainer, given: Mapping[str, str]) -> dict[str, str]:
        """Environment of a container as Kubernetes composes it: envFrom in order, then env; `given` wins over both.

        Raises:
            ManifestError: a ConfigMap, Secret or key that is neither among the manifests nor in `given`.
        """
        values: dict[str, str] = {}
        for index, source in enumerate(container.env_from):
            reference = source.config_map_ref or source.secret_ref
            assert reference is not None  # noqa: S101 - the model has exactly one
            data = self._data("ConfigMap" if source.config_map_ref else "Secret", reference.name)
            if data is None and not reference.optional:
                raise self._missing(kind, name, f"envFrom[{index}]", reference.name)
            values |= {source.prefix + key: value for key, value in (data or {}).items()}
        for index, variable in enumerate(container.env):
            if variable.value_from is None:
                values[variable.name] = variable.value
                continue
            selector = variable.value_from.config_map_key_ref or variable.value_from.secret_key_ref
            assert selector is not None  # noqa: S101 - the model has exactly one
            data = self._data("ConfigMap" if variable.value_from.config_map_key_ref else "Secret", selector.name)
            if data is not None and selector.key in data:
                values[variable.name] = data[selector.key]
            elif variable.name not in given and not selector.optional:
                raise self._missing(kind, name, f"env[{index}].valueFrom", f"{selector.name}.{selector.key}")
        return values | dict(given)

    def _data(self, kind: str, name: str) -> dict[str, str] | None:
        if kind == "ConfigMap":
            return self.config_maps[name].data if name in self.config_maps else None
        return self.secrets[name].values() if name in self.secrets else None

    def _missing(self, kind: str, name: str, path: str, what: str) -> ManifestError:
        where = "spec.template.spec.containers[0]." + path
        return ManifestError(self.files[f"{kind}/{name}"], where, f"{what} is not among the manifests")


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, which Kubernetes refuses too."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _documents(file: Path) -> list[Any]:
    try:
        loaded = list(yaml.load_all(file.read_text(), Loader=_StrictLoader))
    except FileNotFoundError as error:
        raise ManifestError(str(file), "", "no such file") from error
    except yaml.YAMLError as error:
        raise ManifestError(str(file), "", f"not YAML: {' '.join(str(error).split())}") from error
    return [document for document in loaded if document is not None]


def _files(folder: Path) -> Iterator[Path]:
    """Manifest files in the order of the folder's kustomization, or all of them by name when there is none."""
    kustomization = folder / _KUSTOMIZATION
    if not kustomization.exists():
        found = sorted(folder.glob("*.yaml"))
        if not found:
            raise ManifestError(str(folder), "", "no manifests here")
        yield from found
        return
    (content,) = _documents(kustomization)
    for key in content:
        if key not in _KUSTOMIZATION_FIELDS:
            raise ManifestError(str(kustomization), key, "not supported by the emulator")
    for resource in content.get("resources", []):
        path = folder / resource
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _field_path(location: tuple[int | str, ...]) -> str:
    """Pydantic's location as Kubernetes writes field paths: `a.b[0].c`, `annotations[autoscaling.knative.dev/x]`."""
    path = ""
    for part in location:
        if isinstance(part, int) or "/" in part:
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _parse(file: Path, document: Any, prefix: str) -> Any:
    kind = f"{document.get('apiVersion')} {document.get('kind')}" if isinstance(document, dict) else "no object"
    model = _KINDS.get(kind)
    if model is None:
        raise ManifestError(str(file), f"{prefix}kind", f"{kind} is not supported by the emulator")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        unknown = first["type"] == "extra_forbidden"
        message = first["msg"].removeprefix("Value error, ")
        if not unknown and first["type"] not in {"value_error", "missing"}:
            message += f" (got {first['input']!r})"
        raise ManifestError(
            str(file), prefix + _field_path(first["loc"]), "not supported by the emulator" if unknown else message
        ) from error


def load_manifests(folder: Path) -> Manifests:
    """Read, type and cross-check all manifests of a folder.

    Args:
        folder: A folder with a kustomization.yaml (its `resources` are read), or of *.yaml files.

    Raises:
        ManifestError: anything that the emulator cannot honour as a cluster would.
    """
    manifests = Manifests()
    homes: Mapping[type[Model], dict[str, Any]] = {
        Service: manifests.services,
        Deployment: manifests.deployments,
        KafkaSource: manifests.kafka_sources,
        PingSource: manifests.ping_sources,
        KafkaSink: manifests.kafka_sinks,
        ConfigMap: manifests.config_maps,
        Secret: manifests.secrets,
    }
    for file in _files(folder):
        documents = _documents(file)
        for document in documents:
            if (
                isinstance(document, dict)
                and f"{document.get('apiVersion')} {document.get('kind')}" in CLUSTER_ONLY_KINDS
            ):
                continue
            prefix = f"{document.get('kind')}: " if len(documents) > 1 and isinstance(document, dict) else ""
            parsed = _parse(file, document, prefix)
            key = f"{parsed.kind}/{parsed.metadata.name}"
            if key in manifests.files:
                raise ManifestError(str(file), "metadata.name", f"{key} is declared in {manifests.files[key]} too")
            manifests.files[key] = str(file)
            homes[type(parsed)][parsed.metadata.name] = parsed
    _check_references(manifests)
    return manifests


def _check_references(manifests: Manifests) -> None:
    """Sinks must be among the manifests: a delivery to nowhere is found before anything starts."""
    sources: list[KafkaSource | PingSource] = [*manifests.kafka_sources.values(), *manifests.ping_sources.values()]
    for source in sources:
        file = manifests.files[f"{source.kind}/{source.name}"]
        _check_destination(manifests, file, "spec.sink", source.spec.sink, ("Service",))
        if isinstance(source, KafkaSource) and source.spec.delivery and source.spec.delivery.dead_letter_sink:
            sink = source.spec.delivery.dead_letter_sink
            _check_destination(manifests, file, "spec.delivery.deadLetterSink", sink, ("KafkaSink",))


def _check_destination(
    manifests: Manifests, file: str, path: str, destination: Destination, kinds: tuple[str, ...]
) -> None:
    reference = destination.ref
    if reference.kind not in kinds:
        raise ManifestError(file, f"{path}.ref.kind", f"{reference.kind} is not supported by the emulator")
    named: Mapping[str, Model] = manifests.services if reference.kind == "Service" else manifests.kafka_sinks
    if reference.name not in named:
        raise ManifestError(file, f"{path}.ref.name", f"{reference.kind} {reference.name} is not among the manifests")
