"""Metrics that a process counts before it ends, shown by the process that started it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

Sample = tuple[str, dict[str, str], float]
"""Name, labels, value."""


class Carried:
    """Metrics that processes of one run each count, and that their parent adds up.

    Args:
        metrics: Of both processes, under the same names.
    """

    def __init__(self, *metrics: Counter | Gauge) -> None:
        self._metrics = metrics
        self._by_name = {family.name: metric for metric in metrics for family in metric.describe()}

    def samples(self) -> list[Sample]:
        """What this process has counted."""
        return [
            (one.name, one.labels, one.value)
            for metric in self._metrics
            for family in metric.collect()
            for one in family.samples
            if not one.name.endswith("_created")
        ]

    def add(self, counted: Iterable[Sample]) -> None:
        """Add what another process has counted; a gauge takes its value."""
        for name, labels, value in counted:
            metric = self._by_name[name.removesuffix("_total")]
            child = metric.labels(**labels) if labels else metric
            if isinstance(child, Counter):
                child.inc(value)
            else:
                child.set(value)
