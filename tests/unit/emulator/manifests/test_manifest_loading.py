from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.emulator.manifests import ManifestError, load_manifests
from tests.support.emulator.manifests import service, write

KAFKA_SOURCE: dict[str, Any] = {
    "apiVersion": "sources.knative.dev/v1beta1",
    "kind": "KafkaSource",
    "metadata": {"name": "events"},
    "spec": {
        "bootstrapServers": ["kafka:9092"],
        "topics": ["t"],
        "consumerGroup": "g",
        "sink": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "tiny"}},
    },
}
PING_SOURCE: dict[str, Any] = {
    "apiVersion": "sources.knative.dev/v1",
    "kind": "PingSource",
    "metadata": {"name": "daily"},
    "spec": {"schedule": "30 2 * * *", "sink": KAFKA_SOURCE["spec"]["sink"]},
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copy = yaml.safe_load(yaml.safe_dump(document))
    *parents, last = path.split(".")
    place = copy
    for part in parents:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    return copy


def refusal(folder: Path, *documents: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as caught:
        load_manifests(write(folder, *documents))
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "spec.template.spec.containers.0.lifecycle",
            {"preStop": {}},
            "all.yaml: spec.template.spec.containers[0].lifecycle: not supported by the emulator",
        ),
        (
            "spec.template.spec.containers.0.command",
            ["sh"],
            "all.yaml: spec.template.spec.containers[0].command: not supported by the emulator",
        ),
        ("spec.template.spec.initContainers", [], "all.yaml: spec.template.spec.initContainers: not supported"),
        ("spec.template.spec.containerConcurrency", -1, "all.yaml: spec.template.spec.containerConcurrency: Input"),
        ("spec.template.spec.timeoutSeconds", 601, "all.yaml: spec.template.spec.timeoutSeconds: Input should be less"),
        ("spec.traffic", [{"percent": 50, "latestRevision": True}], "all.yaml: spec.traffic[0].percent: Input"),
        (
            "spec.template.spec.containers.0.ports",
            [{"name": "h2c"}],
            "all.yaml: spec.template.spec.containers[0].ports",
        ),
        ("spec.template.spec.volumes", [{"name": "v", "hostPath": {}}], "all.yaml: spec.template.spec.volumes[0]"),
        (
            "spec.template.spec.containers.0.resources",
            {"requests": {"cpu": "much"}},
            "all.yaml: spec.template.spec.cont",
        ),
        (
            "metadata.annotations",
            {"autoscaling.knative.dev/max-scale": "3"},
            "all.yaml: metadata.annotations: autoscaling.knative.dev/max-scale belongs under spec.template",
        ),
        ("kind", "Revision", "all.yaml: kind: serving.knative.dev/v1 Revision is not supported by the emulator"),
    ],
)
def test_service_that_cannot_be_honoured_is_refused_by_file_and_field(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    assert refusal(tmp_path, changed(service(), path, value)).startswith(message)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("max-scale", "-1"),
        ("max-scale", "two"),
        ("max-scale", 3),
        ("min-scale", "-1"),
        ("metric", "cpu"),
        ("metric", "nonsense"),
        ("target", "0"),
        ("window", "5s"),
        ("window", "2h"),
        ("window", "60"),
        ("scale-down-delay", "-5s"),
        ("target-burst-capacity", "-2"),
        ("panic-threshold-percentage", "100"),
        ("class", "hpa.autoscaling.knative.dev"),
        ("minScale", "1"),
        ("invented", "1"),
    ],
)
def test_bad_or_unknown_autoscaling_annotation_is_refused(tmp_path: Path, annotation: str, value: Any) -> None:
    key = f"autoscaling.knative.dev/{annotation}"
    document = service()
    document["spec"]["template"]["metadata"]["annotations"] = {key: value}
    assert refusal(tmp_path, document).startswith(f"all.yaml: spec.template.metadata.annotations[{key}]: ")


def test_max_scale_below_min_scale_is_refused(tmp_path: Path) -> None:
    assert "max-scale=1 is less than" in refusal(tmp_path, service(min_scale="2", max_scale="1"))


def test_annotations_of_others_say_nothing_to_the_emulator(tmp_path: Path) -> None:
    document = service(min_scale="2")
    document["spec"]["template"]["metadata"]["annotations"] |= {
        "prometheus.io/scrape": "true",
        "queue.sidecar.serving.knative.dev/cpu-resource-request": "25m",
    }
    assert load_manifests(write(tmp_path, document)).services["tiny"].autoscaling.min_scale == 2


def test_fields_for_a_cluster_only_are_accepted_and_say_why(tmp_path: Path) -> None:
    document = changed(service(), "spec.template.spec.serviceAccountName", "robot")
    document = changed(document, "spec.template.spec.containers.0.securityContext", {"runAsNonRoot": True})
    document = changed(document, "spec.template.spec.containers.0.resources", {"limits": {"cpu": "2", "memory": "1Gi"}})
    loaded = load_manifests(write(tmp_path, document)).services["tiny"]
    for model, name in (
        (type(loaded.spec.template.spec), "service_account_name"),
        (type(loaded.container), "security_context"),
    ):
        assert model.model_fields[name].description


@pytest.mark.parametrize(
    ("document", "path", "value", "field"),
    [
        (KAFKA_SOURCE, "spec.ordering", "sorted", "spec.ordering"),
        (KAFKA_SOURCE, "spec.initialOffset", "middle", "spec.initialOffset"),
        (KAFKA_SOURCE, "spec.net", {"tls": {"enable": True}}, "spec.net"),
        (KAFKA_SOURCE, "spec.bootstrapServers", ["kafka"], "spec.bootstrapServers[0]"),
        (KAFKA_SOURCE, "spec.delivery.backoffDelay", "0.5s", "spec.delivery.backoffDelay"),
        (KAFKA_SOURCE, "spec.delivery.backoffPolicy", "random", "spec.delivery.backoffPolicy"),
        (KAFKA_SOURCE, "spec.delivery.retryAfterMax", "PT1S", "spec.delivery.retryAfterMax"),
        (KAFKA_SOURCE, "spec.sink.ref.name", "nobody", "spec.sink.ref.name"),
        (KAFKA_SOURCE, "spec.sink.ref.kind", "Broker", "spec.sink.ref.kind"),
        (PING_SOURCE, "spec.schedule", "30 25 * * *", "spec.schedule"),
        (PING_SOURCE, "spec.schedule", "* * * * * *", "spec.schedule"),
        (PING_SOURCE, "spec.timezone", "Moon/Base", "spec.timezone"),
        (PING_SOURCE, "spec.dataBase64", "AA==", "spec.dataBase64"),
        (PING_SOURCE, "spec.data", "{}", "spec"),
    ],
)
def test_source_that_cannot_be_honoured_is_refused(
    tmp_path: Path, document: dict[str, Any], path: str, value: Any, field: str
) -> None:
    kind = document["kind"]
    message = refusal(tmp_path, service(), changed(document, path, value))
    assert message.startswith((f"all.yaml: {kind}: {field}: ", f"all.yaml: {field}: "))


def test_delivery_times_are_seconds(tmp_path: Path) -> None:
    delivery = {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT0.5S", "timeout": "PT1M30S"}
    manifests = load_manifests(write(tmp_path, service(), changed(KAFKA_SOURCE, "spec.delivery", delivery)))
    read = manifests.kafka_sources["events"].spec.delivery
    assert read is not None
    assert (read.backoff_delay, read.timeout) == (0.5, 90.0)


def test_both_served_versions_of_kafka_source_are_read(tmp_path: Path) -> None:
    later = changed(changed(KAFKA_SOURCE, "apiVersion", "sources.knative.dev/v1"), "metadata.name", "later")
    assert set(load_manifests(write(tmp_path, service(), KAFKA_SOURCE, later)).kafka_sources) == {"events", "later"}


def test_two_objects_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "Service/tiny is declared in" in refusal(tmp_path, service(), service())


def test_duplicate_key_in_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("kind: A\nkind: B\n")
    with pytest.raises(ManifestError, match="key 'kind' twice"):
        load_manifests(tmp_path)


def test_kustomization_names_the_files_and_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    write(tmp_path / "inner", service("inner"))
    write(tmp_path, service("listed"))
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(service("unlisted")))
    kustomization = {"kind": "Kustomization", "resources": ["all.yaml", "inner"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    assert list(load_manifests(tmp_path).services) == ["listed", "inner"]

    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization | {"patches": []}))
    with pytest.raises(ManifestError, match=r"kustomization\.yaml: patches: not supported by the emulator"):
        load_manifests(tmp_path)


def test_environment_is_composed_as_kubernetes_does(tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"A": "map", "B": "map", "C": "map"},
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "c2VjcmV0"}}
    document = service()
    container = document["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "gone", "optional": True}}]
    container["env"] = [
        {"name": "B", "value": "own"},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        {"name": "E", "valueFrom": {"secretKeyRef": {"name": "elsewhere", "key": "key"}}},
    ]
    manifests = load_manifests(write(tmp_path, config, secret, document))
    loaded = manifests.services["tiny"].container
    values = manifests.environment("Service", "tiny", loaded, {"C": "given", "E": "given"})
    assert values == {"A": "map", "B": "own", "C": "given", "D": "secret", "E": "given"}
    with pytest.raises(ManifestError, match=r"env\[2\]\.valueFrom: elsewhere\.key is not among the manifests"):
        manifests.environment("Service", "tiny", loaded, {})


def test_readiness_probe_without_period_has_knatives_rhythm(tmp_path: Path) -> None:
    path = "spec.template.spec.containers.0.readinessProbe"
    own = {"httpGet": {"path": "/ready"}}
    probe = (
        load_manifests(write(tmp_path / "own", changed(service(), path, own)))
        .services["tiny"]
        .container.readiness_probe
    )
    assert probe is not None
    assert (probe.period, probe.timeout, probe.failures) == (10, 10, 3)
    message = refusal(tmp_path / "mixed", changed(service(), path, own | {"timeoutSeconds": 5}))
    assert "need a periodSeconds" in message
