"""A measured figure beside its target."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measurement.

    Attributes:
        name: What was measured.
        value: The figure, in `unit`.
        unit: Its unit.
        bound: ">=" or "<=".
        target: What it is compared with.
        how: How it was measured, in words, with what varied between repetitions.
    """

    name: str
    value: float
    unit: str
    bound: str
    target: float
    how: str

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return _COMPARE[self.bound](self.value, self.target)

    def document(self) -> dict[str, Any]:
        """The figure as JSON."""
        return asdict(self) | {"met": self.met}


def machine() -> dict[str, Any]:
    """Size of the machine, and how busy it is with other things: figures without it mean little."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average_before": [round(one, 2) for one in os.getloadavg()],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
