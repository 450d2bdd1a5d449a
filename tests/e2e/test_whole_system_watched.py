"""Dashboards and alerts over the running system, by a real Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from shared.bus import topics
from tests.e2e.running import System, wait_for
from tests.support.monitoring.dashboards import Panel, family, metrics_in, panels, rules
from tests.support.monitoring.prometheus import Prometheus

BROUGHT_ABOUT = {
    "a request is refused",
    "a record is given up",
    "the archiver has written rows",
    "a schedule has run",
}
"""Conditions of panels that the test, or the system by itself, fulfils in time."""
OF_A_CLUSTER = {"kafka_consumergroup_lag", "kafka_topic_partition_current_offset"}
"""The Kafka exporter's; the emulator's delivery tells the same."""
COMES_AND_GOES = ("fraud_training_", "fraud_drift_", "fraud_promotion_", "fraud_feature_labels_")
"""Metrics of functions that are at scale zero between their runs, and of events that come later."""


@pytest.fixture(scope="module")
def prometheus(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), system.state.admin_url) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def unusual_traffic(system: System, prometheus: Prometheus) -> None:
    """What panels wait for: a refused request, and a record that no function can take."""
    refused = system.http.request("POST", f"{system.state.scorer_url}/v1/score", json={"amount": "-1"})
    assert refused.status == 422
    producer = Producer({"bootstrap.servers": system.state.kafka})
    producer.produce(topics.TRANSACTIONS, b"no event")
    assert producer.flush(20) == 0


def shows_nothing(prometheus: Prometheus, panel: Panel) -> list[str]:
    """The queries of a panel without a value."""
    return [query for query in panel.queries if all(math.isnan(value) for value in prometheus.values(query))]


@pytest.mark.timeout(200)
def test_no_panel_is_empty(prometheus: Prometheus) -> None:
    filled = [panel for panel in panels() if panel.empty_until is None or panel.empty_until in BROUGHT_ABOUT]
    assert len(filled) >= 39
    empty: dict[str, list[str]] = {}

    def all_show_something() -> bool:
        empty.clear()
        empty.update({panel.name: queries for panel in filled if (queries := shows_nothing(prometheus, panel))})
        return not empty

    try:
        wait_for(all_show_something, 150, "all panels to show something")
    except TimeoutError:
        pytest.fail(f"empty: {empty}")


def test_panels_that_wait_for_something_are_asked_all_the_same(prometheus: Prometheus) -> None:
    for panel in panels():
        shows_nothing(prometheus, panel)  # an error in a query fails


def test_every_metric_asked_for_is_shown_by_a_replica(prometheus: Prometheus) -> None:
    asked = {metric for panel in panels() for query in panel.queries for metric in metrics_in(query)}
    asked |= {metric for rule in rules() for metric in metrics_in(rule["expr"])}
    shown = prometheus.ask("metadata").keys() | {rule["record"] for rule in rules() if "record" in rule}
    missing = {metric for metric in asked if metric not in shown and family(metric) not in shown} - OF_A_CLUSTER
    assert {metric for metric in missing if not metric.startswith(COMES_AND_GOES)} == set()


def test_every_replica_is_scraped(system: System, prometheus: Prometheus) -> None:
    def scraped() -> bool:
        status = system.status()
        named = {
            replica["name"]
            for one in (*status["services"].values(), *status["programs"].values())
            for replica in one["replicas"]
            if replica.get("ready", True)
        }
        up = prometheus.ask("query", query='up{job="functions"} == 1')["result"]
        return named == {sample["metric"]["replica"] for sample in up if "replica" in sample["metric"]}

    wait_for(scraped, 60, "a scrape of every replica")


def test_no_rule_fails_and_the_dead_letter_is_told(prometheus: Prometheus) -> None:
    def told() -> bool:
        groups = prometheus.ask("rules")["groups"]
        found = {rule["name"]: rule for group in groups for rule in group["rules"]}
        errors = {name: rule["lastError"] for name, rule in found.items() if rule.get("lastError")}
        assert errors == {}
        return bool(found["FraudDeadLetters"]["state"] == "firing")

    wait_for(told, 60, "the alert about a dead letter")
