"""The manifests without their traffic: a copy that leaves the producer out, for `fraud up --no-traffic`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import yaml

PRODUCER: Final = "producer.yaml"


def without_traffic(manifests: Path, target: Path) -> Path:
    """Copy the folder `manifests` to `target` without the producer's Deployment, and return `target`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(manifests, target, ignore=shutil.ignore_patterns(PRODUCER))
    kustomization = target / "kustomization.yaml"
    document = yaml.safe_load(kustomization.read_text())
    document["resources"] = [name for name in document["resources"] if name != PRODUCER]
    kustomization.write_text(yaml.safe_dump(document, sort_keys=False))
    return target
