"""What the manifests promise beyond being valid: nothing unread, nothing unreachable, no rights that are not needed."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from tests.support.knative.kustomize import build, containers

ROOT = Path(__file__).parents[3]
KNATIVE = ROOT / "knative"
OVERLAYS = ("kind", "without-kafka-source", "production")
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer", "train", "archiver", "drift", "promote")
SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka",
    "REDIS_URL": "redis",
    "MLFLOW_TRACKING_URI": "mlflow",
    "FRAUD_LAKE_URI": "s3",
}
DELIVERED_BY_THE_HOST = {("feature-updater", "kafka")}  # it writes dead letters itself on AWS Lambda alone
Resource = dict[str, Any]


@cache
def built(folder: str) -> list[Resource]:
    return build(KNATIVE / folder)


def named(resources: list[Resource], kind: str, group: str = "") -> dict[str, Resource]:
    return {
        one["metadata"]["name"]: one
        for one in resources
        if one["kind"] == kind and one["apiVersion"].rpartition("/")[0] == group
    }


def variables(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config.get("env_prefix", "")
    return {str(field.validation_alias or f"{prefix}{name}").upper() for name, field in settings.model_fields.items()}


def settings_of(module: str) -> set[str]:
    """The environment variables that a module's settings classes read."""
    classes = [one for one in vars(importlib.import_module(module)).values() if isinstance(one, type)]
    return {name for one in classes if issubclass(one, BaseSettings) for name in variables(one)}


def known_variables() -> set[str]:
    """What the settings classes of functions and shared packages read."""
    files = [*ROOT.glob("functions/*/settings.py"), *ROOT.glob("shared/*/settings.py")]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return {name for module in (*modules, "shared.bus.connection") for name in settings_of(module)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_value_of_the_config_is_read_by_somebody(overlay: str) -> None:
    data = named(built(f"overlays/{overlay}"), "ConfigMap")["fraud-config"]["data"]
    logs = (ROOT / "shared/telemetry/logs.py").read_text()
    unread = {key for key in data if key not in known_variables() and f'"{key}"' not in logs}
    assert unread == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_named_and_never_kept(overlay: str) -> None:
    assert named(built(f"overlays/{overlay}"), "Secret") == {}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_reach_what_its_settings_name(function: str) -> None:
    service = named(built("base"), "Service", "serving.knative.dev")[function]
    labels = service["spec"]["template"]["metadata"]["labels"]
    allowed = {label.removeprefix("fraud.dev/uses-") for label in labels if label.startswith("fraud.dev/uses-")}
    module = function.replace("-", "_")
    read = settings_of(f"functions.{module}.settings")
    source = "\n".join(path.read_text() for path in (ROOT / "functions" / module).rglob("*.py"))
    if "shared.lake" in source or "shared.runs" in source:
        read.add("FRAUD_LAKE_URI")
    needed = {service for variable, service in SETTINGS.items() if variable in read}
    assert allowed == {one for one in needed if (function, one) not in DELIVERED_BY_THE_HOST}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_an_account_of_its_own(function: str) -> None:
    resources = built("base")
    service = named(resources, "Service", "serving.knative.dev")[function]
    assert service["spec"]["template"]["spec"]["serviceAccountName"] == function
    assert named(resources, "ServiceAccount")[function]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("folder", ["base", "backing", *(f"overlays/{overlay}" for overlay in OVERLAYS)])
def test_no_container_has_rights_that_it_does_not_need(folder: str) -> None:
    for container in containers(built(folder)):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container["image"]
        assert context["readOnlyRootFilesystem"] is True, container["image"]
        assert context["capabilities"] == {"drop": ["ALL"]}, container["image"]
        command = [*container.get("command", []), *container.get("args", [])]
        assert not {"sh", "bash", "/bin/sh"} & set(command), "a container needs no shell"


@pytest.mark.parametrize("source", list(named(build(KNATIVE / "base"), "KafkaSource", "sources.knative.dev")))
def test_a_kafka_source_says_everything_about_delivery(source: str) -> None:
    spec = named(built("base"), "KafkaSource", "sources.knative.dev")[source]["spec"]
    assert {"consumerGroup", "consumers", "initialOffset", "ordering"} <= spec.keys()
    assert spec["delivery"].keys() == {"retry", "backoffPolicy", "backoffDelay", "timeout", "deadLetterSink"}


def test_every_image_is_made_by_the_dockerfile() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    (listed,) = re.findall(r"^FUNCTIONS := (.*)$", makefile, re.MULTILINE)
    for container in containers(built("overlays/without-kafka-source")):
        found = re.fullmatch(r"dev\.local/fraud-([a-z-]+):1", container["image"])
        assert found, container["image"]
        assert found[1] in targets
        assert found[1] in {*listed.split(), "dispatcher", "backing"}


def test_production_pulls_from_a_registry_and_reaches_no_local_service() -> None:
    resources = built("overlays/production")
    assert all(container["image"].startswith("registry.example.com/") for container in containers(resources))
    assert [one for one in resources if "fraud.svc.cluster.local:" in str(one)] == []


def test_the_dispatcher_knows_where_every_source_delivers_to() -> None:
    resources = built("overlays/without-kafka-source")
    targets = named(resources, "ConfigMap")["dispatcher-targets"]["data"]["targets.json"]
    sources = named(built("base"), "KafkaSource", "sources.knative.dev").values()
    for sink in {source["spec"]["sink"]["ref"]["name"] for source in sources}:
        assert f'"{sink}": "http://{sink}.fraud.svc.cluster.local"' in targets
