"""A measured figure beside its target."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.table import Table

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
_MET: dict[bool | None, str] = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measurement.

    Attributes:
        name: What was measured.
        value: The figure, in `unit`.
        unit: Its unit.
        how: How it was measured, in words, with what varied between repetitions.
        bound: ">=" or "<=".
        target: What it is compared with; None for a figure without a target.
    """

    name: str
    value: float
    unit: str
    how: str
    bound: str = "<="
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else _COMPARE[self.bound](self.value, self.target)

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


def headline(size: dict[str, Any]) -> str:
    """The machine in one line."""
    before, after = size["load_average_before"][0], size["load_average_after"][0]
    return (
        f"{size['processor']}, {size['cores']} cores, {size['memory_gb']} GB, {size['system']}, "
        f"Python {size['python']}; load average before {before}, after {after}"
    )


def table(figures: Iterable[Figure]) -> Table:
    """The figures as a table, each with its target."""
    drawn = Table("what", "measured", "target", "met", "how")
    for figure in figures:
        drawn.add_row(
            figure.name,
            f"{figure.value:,g} {figure.unit}",
            "" if figure.target is None else f"{figure.bound} {figure.target:,g} {figure.unit}",
            _MET[figure.met],
            figure.how,
        )
    return drawn
