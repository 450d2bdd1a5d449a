"""The three descriptions of the system's hosts, read: Knative manifests, SAM template, compose file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from localstack.pump.template import Function, Template
from shared.emulator.manifests import Manifests, load_manifests

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer", "train", "archiver", "drift", "promote", "producer")
ON_LAMBDA = tuple(name for name in FUNCTIONS if name != "producer")


@cache
def manifests() -> Manifests:
    return load_manifests(ROOT / "knative" / "base")


@cache
def template_document() -> dict[str, Any]:
    return Template.load(ROOT / "template.yaml")


def template(**parameters: str) -> Template:
    """The template with secrets and parameters that are named for where they come from."""
    given = {
        "LakeBucket": "lake",
        "KafkaSecretArn": "kafka-secret",
        "FeatureStoreSecretArn": "store-secret",
    } | parameters
    return Template(template_document(), given, lambda name, key: f"{name}:{key}", lambda name: f"value of {name}")


def lambda_functions() -> dict[str, Function]:
    return template().functions()


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "localstack" / "compose.yaml").read_text())
    return document


@cache
def image_targets() -> frozenset[str]:
    """The stages of the Dockerfile."""
    return frozenset(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


def knative_environment(function: str) -> set[str]:
    """Names of the variables that a function gets from its manifest."""
    known = manifests()
    owner = known.deployments[function] if function == "producer" else known.services[function]
    return set(known.environment(owner.kind, function, owner.container, {}))
