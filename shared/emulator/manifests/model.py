"""Base of all manifest models, the values that manifests write as text, and the error that names file and field."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ManifestError(Exception):
    """A manifest that the emulator cannot honour. The message names the file, the field's path and the reason."""

    def __init__(self, file: str, path: str, reason: str) -> None:
        self.file = file
        self.path = path
        self.reason = reason
        super().__init__(f"{file}: {path}: {reason}" if path else f"{file}: {reason}")


class Model(BaseModel):
    """A part of a manifest: camelCase on the wire, and a field that is not declared here is refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True, frozen=True)


def cluster_only(reason: str) -> Any:
    """A field that is accepted without effect, because it has a meaning on a cluster only; `reason` says why."""
    return Field(default=None, description=reason)


def _cpu_cores(value: object) -> float:
    """Kubernetes CPU quantity ("250m", "1.5", 2) in cores."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a CPU quantity such as 250m or 1")
    return float(match[1]) / (1000 if match[2] else 1)


def _memory_bytes(value: object) -> int:
    """Kubernetes memory quantity ("256Mi", "1G") in bytes."""
    factors = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    factors |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", str(value))
    if match is None or match[2] not in factors or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a memory quantity such as 256Mi")
    return int(float(match[1]) * factors[match[2]])


_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}


def _go_seconds(value: object) -> float:
    """Go duration ("1m30s", "60s", "500ms") in seconds, as Knative's annotations write them."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"{value!r} is not a duration such as 60s or 1m30s, in quotes")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts)


def _iso_seconds(value: object) -> float:
    """ISO 8601 duration ("PT0.5S", "PT10M") in seconds, as Knative's delivery blocks write them."""
    pattern = r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(f"{value!r} is not an ISO 8601 duration such as PT0.5S")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _number_text(value: object) -> object:
    """A number that Kubernetes wants as a string, as all annotation values."""
    if not isinstance(value, str):
        raise ValueError(f"annotation values are strings: write {str(value).lower()!r} in quotes")  # noqa: TRY004 - pydantic collects ValueError
    return value


CpuCores = Annotated[float, BeforeValidator(_cpu_cores)]
MemoryBytes = Annotated[int, BeforeValidator(_memory_bytes)]
GoSeconds = Annotated[float, BeforeValidator(_go_seconds)]
IsoSeconds = Annotated[float, BeforeValidator(_iso_seconds)]
IntText = Annotated[int, BeforeValidator(_number_text)]
FloatText = Annotated[float, BeforeValidator(_number_text)]
