"""Reads Prometheus metrics of this process, to compare them before and after."""

from __future__ import annotations

from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float:
    """The value of a sample; 0 for one that was never counted."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Change:
    """How much samples have changed since this was made."""

    def __init__(self) -> None:
        self._before = _samples()

    def of(self, name: str, **labels: str) -> float:
        """The change of one sample."""
        return sample(name, **labels) - self._before.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str) -> float:
        """The change of the sum of all samples of that name."""
        return sum(value for (found, _), value in _samples().items() if found == name) - sum(
            value for (found, _), value in self._before.items() if found == name
        )


def _samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (one.name, frozenset(one.labels.items())): one.value for metric in REGISTRY.collect() for one in metric.samples
    }
