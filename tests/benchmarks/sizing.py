"""Processor time per decision, from which a deployment is sized."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psutil

CORE_HOUR = 0.05
"""Price of one core for one hour, in a currency of choice: about that of a general-purpose machine rented on demand."""


@dataclass(frozen=True)
class Sizing:
    """Processor time that decisions took.

    Attributes:
        decisions: Answers given meanwhile.
        scorer: Processor seconds of the scorer replica.
        system: Processor seconds of all processes: replica, other functions, delivery, backing services.
    """

    decisions: int
    scorer: float
    system: float

    def per_core(self) -> float:
        """Decisions per second and core of scorer replicas."""
        return self.decisions / self.scorer

    def cost_per_million(self, core_hour: float = CORE_HOUR) -> float:
        """Price of the processor time of a million decisions, everything included."""
        return self.system / self.decisions * 1e6 / 3600 * core_hour


def processes(pids: Iterable[int]) -> dict[int, psutil.Process]:
    """These processes and all below them, by process id; those that have ended are left out."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found |= {one.pid: one for one in (process, *process.children(recursive=True))}
        except psutil.NoSuchProcess:
            continue
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time so far of these processes and all below them, their ended children included."""
    total = 0.0
    for process in processes(pids).values():
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total
