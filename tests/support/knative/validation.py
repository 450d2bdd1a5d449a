"""Whether a cluster would take a resource, told from schemas alone."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

SCHEMAS = Path(__file__).parents[2] / "unit" / "knative" / "schemas"
KUBERNETES = "1.34"


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{kind}.json").read_text())
    return jsonschema.Draft202012Validator(schema)


def problem(resource: dict[str, Any]) -> str | None:
    """What is wrong with a resource, with the path of the field; None when it is valid."""
    group = resource["apiVersion"].partition("/")[0]
    try:
        if group.endswith(".knative.dev"):
            _validator(resource["kind"]).validate(resource)
        else:
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    except jsonschema.ValidationError as error:
        return f"{resource['kind']}/{resource['metadata']['name']} {error.json_path}: {error.message}"
    return None
