"""Makes a schema for our tests of a CustomResourceDefinition: its types without descriptions and status, strict.

    python -m tests.support.knative.trim_crd CRD.yaml VERSION > tests/unit/knative/schemas/KIND.json

A cluster refuses a field that a definition does not know (kubectl's strict validation); so does the schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

KEPT = {"type", "required", "enum", "minimum", "maximum", "pattern", "minLength", "maxLength", "minItems", "maxItems"}
METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural schema as a JSON schema that refuses unknown fields."""
    trimmed: dict[str, Any] = {key: value for key, value in schema.items() if key in KEPT}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "items" in schema:
        trimmed["items"] = strict(schema["items"])
    if "properties" in schema:
        trimmed["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        trimmed["additionalProperties"] = strict(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        trimmed["additionalProperties"] = False
    return trimmed


def trim(definition: dict[str, Any], version: str) -> dict[str, Any]:
    """The schema of one version of a definition."""
    (chosen,) = (one for one in definition["spec"]["versions"] if one["name"] == version)
    schema = chosen["schema"]["openAPIV3Schema"]
    names, group = definition["spec"]["names"], definition["spec"]["group"]
    properties = {name: strict(value) for name, value in schema["properties"].items() if name == "spec"}
    properties |= {
        "apiVersion": {"const": f"{group}/{version}"},
        "kind": {"const": names["kind"]},
        "metadata": METADATA,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": properties,
        "additionalProperties": False,
    }


if __name__ == "__main__":
    definition = yaml.safe_load(Path(sys.argv[1]).read_text())
    sys.stdout.write(json.dumps(trim(definition, sys.argv[2]), indent=1, sort_keys=True) + "\n")
