"""What the cluster's autoscaler saw and decided, and whether the emulator's would have decided the same.

Knative's autoscaler tells per revision the averages of its two windows, whether it panics, the pods it asked for and
those that were ready. The emulator's decider gets these averages instead of its own and must ask for as many pods.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from shared.emulator.autoscaler import AutoscalerConfig, Decider, ScaleSpec
from shared.emulator.manifests import Service
from tests.e2e.knative.cluster import Cluster, Object

METRICS = {
    "autoscaler_stable_request_concurrency": "stable",
    "autoscaler_panic_request_concurrency": "panic",
    "autoscaler_panic_mode": "panicking",
    "autoscaler_desired_pods": "desired",
    "autoscaler_actual_pods": "ready",
}
PORT = 9090
_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Tick:
    """One decision: its inputs and what was asked for."""

    revision: str
    stable: float
    panic: float
    panicking: float
    desired: float
    ready: float


class AutoscalerWatch(AbstractContextManager["AutoscalerWatch"]):
    """Records the autoscaler's decisions about one service; none where its metrics have other names."""

    def __init__(self, cluster: Cluster, service: str) -> None:
        self.ticks: list[Tick] = []
        self._cluster = cluster
        self._service = service
        self._stack = ExitStack()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._url = ""

    def __enter__(self) -> Self:
        forward = self._cluster.forwarded("deploy/autoscaler", PORT, namespace="knative-serving")
        self._url = f"http://127.0.0.1:{self._stack.enter_context(forward)}/metrics"
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(10)
        self._stack.close()

    def _watch(self) -> None:
        http = urllib3.PoolManager(timeout=5.0, retries=False)
        while not self._ending.wait(_EVERY_SECONDS):
            try:
                text = http.request("GET", self._url).data.decode()
            except urllib3.exceptions.HTTPError:
                time.sleep(_EVERY_SECONDS)
                continue
            for tick in read(text, self._service):
                if not self.ticks or tick != self.ticks[-1]:
                    self.ticks.append(tick)


def read(text: str, service: str) -> list[Tick]:
    """The latest decision about each revision of a service in an exposition."""
    revisions: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in METRICS and sample.labels.get("configuration_name") == service:
                revisions.setdefault(sample.labels["revision_name"], {})[METRICS[sample.name]] = sample.value
    return [Tick(name, **values) for name, values in revisions.items() if values.keys() == set(METRICS.values())]


class _Average:
    """In place of a window: the average that the cluster told."""

    def __init__(self) -> None:
        self.value = 0.0

    def empty(self, _now: float) -> bool:
        return False

    def average(self, _now: float) -> float:
        return self.value


def decided(spec: ScaleSpec, ticks: list[Tick]) -> list[int]:
    """The pods that the emulator's decider asks for, given the cluster's averages."""
    decider: Any = Decider(spec)
    decider._stable, decider._panic = _Average(), _Average()
    found = []
    for number, tick in enumerate(ticks):
        decider._stable.value, decider._panic.value = tick.stable, tick.panic
        # Begin and end of a panic hang on when the autoscaler looked, which its metrics do not tell.
        if tick.panicking:
            decider._most_in_panic = max(decider._most_in_panic, int(tick.ready))
            decider._panic_since = float(number)
        else:
            decider._panic_since, decider._most_in_panic = None, 0
        decision = decider.decide(float(number), int(tick.ready))
        found.append(decision.desired)
    return found


def disagreements(ticks: list[Tick], service: Object) -> list[str]:
    """Decisions of the cluster that the emulator would not have made, one revision after the other."""
    given = {"apiVersion": service["apiVersion"], "kind": "Service", "metadata": {"name": service["metadata"]["name"]}}
    template = service["spec"]["template"]
    manifest = Service.model_validate(
        given
        | {
            "spec": {
                "template": {
                    "metadata": {"annotations": template["metadata"]["annotations"]},
                    "spec": {
                        "containers": [{"image": "any"}],
                        "containerConcurrency": template["spec"].get("containerConcurrency", 0),
                    },
                }
            }
        }
    )
    spec = ScaleSpec.resolve(manifest, AutoscalerConfig())
    lines = []
    for revision in sorted({tick.revision for tick in ticks}):
        seen = [tick for tick in ticks if tick.revision == revision]
        for tick, wanted in zip(seen, decided(spec, seen), strict=True):
            if wanted != tick.desired:
                lines.append(f"autoscaler: {tick}, the emulator's would ask for {wanted}")
    return lines
