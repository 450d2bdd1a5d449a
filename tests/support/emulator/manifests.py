"""Small manifests for the emulator's tests."""

from pathlib import Path
from typing import Any

import yaml

FUNCTION = "tests/support/emulator/tiny_function.py"


def service(name: str = "tiny", env: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """A Service of the tiny function; annotations by keyword without prefix (min_scale="0"), spec by `spec=`."""
    spec = changes.pop("spec", {})
    container = changes.pop("container", {})
    annotations = {f"autoscaling.knative.dev/{key.replace('_', '-')}": value for key, value in changes.items()}
    variables = {"FUNCTION_TARGET": "tiny", "FUNCTION_SOURCE": FUNCTION} | (env or {})
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "fraud"},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {
                    "containers": [
                        {
                            "image": f"dev.local/{name}:1",
                            "env": [{"name": key, "value": value} for key, value in variables.items()],
                            "readinessProbe": {"httpGet": {"path": "/health/readiness"}, "periodSeconds": 1},
                        }
                        | container
                    ],
                }
                | spec,
            }
        },
    }


def write(folder: Path, *documents: dict[str, Any]) -> Path:
    """Write manifests into one file of a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return folder
