"""Prometheus, as `kubectl apply -k knative/monitoring` starts it, finds every replica and fills the dashboards."""

from __future__ import annotations

import math

from tests.e2e.knative.cluster import ROOT, SERVICE_LABEL, Cluster, Refused, is_ready, until
from tests.support.monitoring.dashboards import panels
from tests.support.monitoring.prometheus import PrometheusApi

NAMESPACE = "fraud-monitoring"
START_SECONDS = 120
FILL_SECONDS = 180
OF_THE_EMULATOR = "emulator_"
OF_THE_EXPORTER = "kafka_"


def replicas_watched(cluster: Cluster) -> bool:
    """Apply the monitoring, compare its targets with the pods, ask every panel; returns whether all is seen."""
    there = bool(cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"))
    cluster.kubectl("apply", "-k", str(ROOT / "knative" / "monitoring"), namespace=None)
    try:
        _wait_for(cluster, "deploy/prometheus", NAMESPACE)
        exported = _started(cluster, "deploy/kafka-exporter", "fraud")
        drawn = _started(cluster, "deploy/grafana", NAMESPACE)
        for name, runs in (("the Kafka exporter", exported), ("Grafana", drawn)):
            print(f"{name} {'runs' if runs else 'does not start here: LEFT OUT'}")
        with cluster.forwarded("svc/prometheus", 9090, namespace=NAMESPACE) as port:
            prometheus = PrometheusApi(f"http://127.0.0.1:{port}")
            until(prometheus.is_ready, START_SECONDS, "Prometheus to answer")
            return _finds_all(cluster, prometheus) and _fills_panels(prometheus, exported=exported)
    finally:
        if not there:
            cluster.kubectl("delete", "-k", str(ROOT / "knative" / "monitoring"), "--wait=false", namespace=None)


def _wait_for(cluster: Cluster, target: str, namespace: str, seconds: int = START_SECONDS) -> None:
    condition = "--for=condition=Available"
    cluster.kubectl("wait", target, condition, f"--timeout={seconds}s", timeout=seconds + 10, namespace=namespace)


def _started(cluster: Cluster, target: str, namespace: str) -> bool:
    try:
        _wait_for(cluster, target, namespace, 30)
    except Refused:
        return False
    return True


def _finds_all(cluster: Cluster, prometheus: PrometheusApi) -> bool:
    """Whether every replica that is ready is scraped with success, and no other thing is."""
    seen: set[str] = set()
    pods: set[str] = set()

    def same() -> bool:
        pods.clear()
        pods.update(pod["metadata"]["name"] for pod in cluster.pods(SERVICE_LABEL) if is_ready(pod))
        found = prometheus.ask("query", query='up{job="functions", revision!=""} == 1')["result"]
        seen.clear()
        seen.update(one["metric"]["replica"] for one in found)
        return bool(pods) and pods == seen

    try:
        until(same, FILL_SECONDS, "every replica to be scraped")
    except TimeoutError:
        print(f"not scraped: {sorted(pods - seen)}, scraped though not ready: {sorted(seen - pods)}")
        return False
    print(f"{len(seen)} of {len(pods)} replicas are scraped")
    return True


def _fills_panels(prometheus: PrometheusApi, *, exported: bool) -> bool:
    """Whether every panel that always shows something does."""
    wanted = [panel for panel in panels() if panel.empty_until is None]
    elsewhere = (OF_THE_EMULATOR,) if exported else (OF_THE_EMULATOR, OF_THE_EXPORTER)
    asked = {
        panel.name: [query for query in panel.queries if not any(prefix in query for prefix in elsewhere)]
        for panel in wanted
    }
    empty: dict[str, list[str]] = {}

    def filled() -> bool:
        empty.clear()
        for name, queries in asked.items():
            if nothing := [query for query in queries if all(map(math.isnan, prometheus.values(query)))]:
                empty[name] = nothing
        return not empty

    try:
        until(filled, FILL_SECONDS, "the panels to show something")
    except TimeoutError:
        for name, queries in empty.items():
            print(f"empty: {name}: {queries}")
    print(f"{len(asked) - len(empty)} of {len(asked)} panels show something")
    return not empty
