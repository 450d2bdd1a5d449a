"""What the cluster's autoscaler sees and decides, read from its metrics while a load runs."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.knative.cluster import Cluster
from tests.support.knative.autoscaling import Reading

METRICS = {
    "autoscaler_stable_request_concurrency": "stable",
    "autoscaler_panic_request_concurrency": "panic",
    "autoscaler_panic_mode": "panicking",
    "autoscaler_desired_pods": "desired",
    "autoscaler_actual_pods": "ready",
}
PORT = 9090
_EVERY_SECONDS = 0.5


class AutoscalerWatch(AbstractContextManager["AutoscalerWatch"]):
    """Records what changes in the metrics about one service; nothing where they have other names."""

    def __init__(self, cluster: Cluster, service: str) -> None:
        self.readings: list[Reading] = []
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
        latest: dict[str, Reading] = {}
        while not self._ending.wait(_EVERY_SECONDS):
            try:
                text = http.request("GET", self._url).data.decode()
            except urllib3.exceptions.HTTPError:
                time.sleep(_EVERY_SECONDS)
                continue
            for reading in read(text, self._service):
                if latest.get(reading.revision) != reading:
                    self.readings.append(reading)
                    latest[reading.revision] = reading


def read(text: str, service: str) -> list[Reading]:
    """The latest decision about each revision of a service in an exposition."""
    revisions: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in METRICS and sample.labels.get("configuration_name") == service:
                revisions.setdefault(sample.labels["revision_name"], {})[METRICS[sample.name]] = sample.value
    return [Reading(name, **values) for name, values in revisions.items() if values.keys() == set(METRICS.values())]
