"""What `kubectl kustomize` makes of a folder, for the part of it that our kustomizations use, without that command.

Reference: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/. A field beyond that part is an error.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
FIELDS = {"apiVersion", "kind", "namespace", "resources", "patches", "images", "configMapGenerator", "generatorOptions"}


class UnknownField(ValueError):
    """A kustomization asks for more than this module does."""


def build(folder: Path) -> list[Resource]:
    """The resources of a kustomization, patched, in no particular order.

    Raises:
        UnknownField: It uses another field.
        LookupError: A patch finds nothing to patch.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := kustomization.keys() - FIELDS:
        raise UnknownField(f"{folder}: {', '.join(sorted(unknown))}")
    resources: list[Resource] = []
    for name in kustomization["resources"]:
        path = folder / name
        resources += build(path) if path.is_dir() else documents(path)
    if "configMapGenerator" in kustomization and kustomization.get("generatorOptions") != {
        "disableNameSuffixHash": True
    }:
        raise UnknownField(f"{folder}: a generated name with a hash")
    resources += [_config_map(one, folder) for one in kustomization.get("configMapGenerator", [])]
    for patch in kustomization.get("patches", []):
        resources = list(_patched(resources, patch, folder))
    images = {image["name"]: image for image in kustomization.get("images", [])}
    for container in containers(resources):
        name, _, tag = container["image"].rpartition(":")
        if name in images:
            new = images[name]
            container["image"] = f"{new.get('newName', name)}:{new.get('newTag', tag)}"
    return resources


def documents(file: Path) -> list[Resource]:
    """The resources of one file."""
    return [document for document in yaml.load_all(file.read_text(), yaml.CSafeLoader) if document]


def _config_map(generated: dict[str, Any], folder: Path) -> Resource:
    if unknown := generated.keys() - {"name", "namespace", "files"}:
        raise UnknownField(f"{folder}: configMapGenerator: {', '.join(sorted(unknown))}")
    metadata = {"name": generated["name"], "namespace": generated["namespace"]}
    data = {Path(name).name: (folder / name).read_text() for name in generated["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def containers(resources: list[Resource]) -> Iterator[dict[str, Any]]:
    """All containers of all pod templates."""
    for resource in resources:
        pod = resource.get("spec", {}).get("template", {}).get("spec", {})
        yield from (*pod.get("initContainers", []), *pod.get("containers", []))


def _patched(resources: list[Resource], patch: dict[str, Any], folder: Path) -> Iterator[Resource]:
    target = patch["target"]
    content = yaml.safe_load(patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text())
    found = False
    for resource in resources:
        if not _selects(target, resource):
            yield resource
            continue
        found = True
        if isinstance(content, dict) and content.get("$patch") == "delete":
            continue
        if not isinstance(content, list):
            raise UnknownField(f"{folder}: a patch that is neither a list of operations nor a deletion")
        patched = copy.deepcopy(resource)
        for operation in content:
            _apply(patched, copy.deepcopy(operation))
        yield patched
    if not found:
        raise LookupError(f"{folder}: nothing is like {target}")


def _selects(target: dict[str, str], resource: Resource) -> bool:
    group = resource["apiVersion"].rpartition("/")[0]
    actual = {"group": group, "kind": resource["kind"], "name": resource["metadata"]["name"]}
    return all(re.fullmatch(pattern, actual[key]) for key, pattern in target.items())


def _apply(document: Any, operation: dict[str, Any]) -> None:
    """One operation of a JSON patch (RFC 6902): add, replace or remove."""
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
    for part in parents:
        document = document[int(part) if isinstance(document, list) else part]
    key: Any = last
    if isinstance(document, list):
        key = len(document) if last == "-" else int(last)
    if operation["op"] == "add" and isinstance(document, list):
        document.insert(key, operation["value"])
    elif operation["op"] == "add":
        document[key] = operation["value"]
    elif operation["op"] == "replace":
        if not isinstance(document, list) and key not in document:
            raise LookupError(f"{operation['path']} is not there to be replaced")
        document[key] = operation["value"]
    elif operation["op"] == "remove":
        del document[key]
    else:
        raise UnknownField(f"operation {operation['op']}")
