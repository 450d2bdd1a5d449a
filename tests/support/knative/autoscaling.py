"""Decisions of a cluster's autoscaler, as its metrics tell them, and whether the emulator's would have been the same.

Knative's autoscaler tells per revision the averages of its two windows, whether it panics, the pods it asked for and,
from another place and at another moment, those that were ready. The emulator's decider is given these averages instead
of its own and must ask for as many pods.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from shared.emulator.autoscaler import AutoscalerConfig, Decider, ScaleSpec
from shared.emulator.manifests import Service


@dataclass(frozen=True)
class Reading:
    """One reading of the autoscaler's metrics about a revision; pods and concurrency, not per pod."""

    revision: str
    stable: float
    panic: float
    panicking: float
    desired: float
    ready: float


@dataclass(frozen=True)
class Trace:
    """What was read while a load ran, and the scaling of the service that it was sent to."""

    annotations: dict[str, str]
    container_concurrency: int
    readings: list[Reading]

    def scaling(self) -> ScaleSpec:
        manifest = Service.model_validate({
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": "any"},
            "spec": {"template": {"metadata": {"annotations": self.annotations},
                                  "spec": {"containers": [{"image": "any"}],
                                           "containerConcurrency": self.container_concurrency}}},
        })  # fmt: skip
        return ScaleSpec.resolve(manifest, AutoscalerConfig())


@dataclass
class Told:
    """One decision, which several readings show.

    Attributes:
        first: The reading that showed it first.
        ready: What was told of the ready pods just before and while it stood: it was made on one of these.
    """

    first: Reading
    ready: set[int]


def told(readings: Iterable[Reading]) -> dict[str, list[Told]]:
    """The decisions about each revision, in their order."""
    found: dict[str, list[Told]] = {}
    last: dict[str, Reading] = {}
    for reading in readings:
        decisions = found.setdefault(reading.revision, [])
        before = last.get(reading.revision)
        if before is None or _decision(before) != _decision(reading):
            decisions.append(Told(reading, {int(before.ready)} if before else set()))
        decisions[-1].ready.add(int(reading.ready))
        last[reading.revision] = reading
    return found


def _decision(reading: Reading) -> tuple[float, ...]:
    return reading.stable, reading.panic, reading.panicking, reading.desired


def disagreements(trace: Trace) -> list[str]:
    """Decisions of the cluster that the emulator would not have made; the first of a revision has nothing before it."""
    spec, lines = trace.scaling(), []
    for revision, decisions in told(trace.readings).items():
        for before, now in pairwise(decisions):
            wanted = {_decided(spec, before.first, now.first, ready) for ready in now.ready}
            if now.first.desired not in wanted:
                lines.append(f"{revision}: {now.first.desired:g} pods by {now}, the emulator's would ask for {wanted}")
    return lines


def _decided(spec: ScaleSpec, before: Reading, now: Reading, ready: int) -> int:
    """The pods that the emulator's decider asks for, in the state of the cluster's: a panic keeps its highest wish."""
    decider = Decider(spec)
    averages: Any = decider
    averages._stable, averages._panic = _Average(now.stable), _Average(now.panic)
    if now.panicking:
        decider._panic_since = 0.0
        decider._most_in_panic = int(before.desired) if before.panicking else 0
    decision = decider.decide(0.0, ready)
    assert decision is not None
    return decision.desired


@dataclass
class _Average:
    """In place of a window: the average that the cluster told."""

    value: float

    def empty(self, _now: float) -> bool:
        return False

    def average(self, _now: float) -> float:
        return self.value
