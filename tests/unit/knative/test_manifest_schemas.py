"""Every resource of every folder that can be applied is valid, unknown fields included."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.knative.kustomize import build
from tests.support.knative.validation import problem

KNATIVE = Path(__file__).parents[3] / "knative"
FOLDERS = sorted(file.parent for file in KNATIVE.rglob("kustomization.yaml"))
Resource = dict[str, Any]


def name(folder: Path) -> str:
    return str(folder.relative_to(KNATIVE))


@pytest.fixture(scope="module")
def base() -> dict[str, Resource]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in build(KNATIVE / "base")}


def test_there_is_something_to_look_at() -> None:
    assert {"base", "backing", "overlays/kind", "overlays/production"} <= set(map(name, FOLDERS))


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_every_resource_is_valid(folder: Path) -> None:
    assert [found for resource in build(folder) if (found := problem(resource))] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_no_resource_is_declared_twice(folder: Path) -> None:
    keys = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in build(folder)]
    assert sorted(set(keys)) == sorted(keys)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_kubectl_makes_the_same_of_it(folder: Path) -> None:
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    theirs = [one for one in yaml.load_all(made.stdout, yaml.CSafeLoader) if one]

    def ordered(resources: list[Resource]) -> list[str]:
        return sorted(json.dumps(one, sort_keys=True) for one in resources)

    assert ordered(build(folder)) == ordered(theirs)


def _container(resource: Resource) -> Resource:
    container: Resource = resource["spec"]["template"]["spec"]["containers"][0]
    return container


WRONG: dict[str, tuple[str, Callable[[Resource], Any]]] = {
    "field of a container": ("Service/scorer", lambda one: _container(one).update(imagePolicy="Always")),
    "type of a port": ("Service/scorer", lambda one: _container(one)["ports"][0].update(containerPort="http")),
    "field of a schedule": ("PingSource/train-daily", lambda one: one["spec"].update(cron="* * * * *")),
    "delivery": ("KafkaSource/train-drift", lambda one: one["spec"]["delivery"].update(backoffPolicy="constant")),
    "duration": ("KafkaSource/train-drift", lambda one: one["spec"]["delivery"].update(timeout="600s")),
    "field of a sink": ("KafkaSink/dead-letters", lambda one: one["spec"].update(topics=["a"])),
    "missing topic": ("KafkaSink/dead-letters", lambda one: one["spec"].pop("topic")),
    "field of a pod": ("Deployment/producer", lambda one: one["spec"]["template"]["spec"].update(restart="Always")),
    "kind of a value": ("ConfigMap/fraud-config", lambda one: one["data"].update(FRAUD_LOG_LEVEL=1)),
    "rule": ("NetworkPolicy/to-kafka", lambda one: one["spec"]["egress"][0].update(port=9092)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_resource_is_found(base: dict[str, Resource], wrong: str) -> None:
    key, change = WRONG[wrong]
    resource = copy.deepcopy(base[key])
    assert problem(resource) is None
    change(resource)
    assert problem(resource) is not None
