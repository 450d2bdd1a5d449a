"""Metrics that pass from a process that ends to the one that started it."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.telemetry.carried import Carried


def metrics() -> tuple[CollectorRegistry, Counter, Gauge, Carried]:
    """The metrics of one process."""
    registry = CollectorRegistry()
    runs = Counter("runs_total", "Runs.", ["outcome"], registry=registry)
    last = Gauge("last_seconds", "When.", registry=registry)
    return registry, runs, last, Carried(runs, last)


def test_counters_add_up_and_gauges_take_the_newest_value() -> None:
    shown, _, _, parent = metrics()
    for at in (10.0, 5.0):
        _, runs, last, child = metrics()
        runs.labels("done").inc(2)
        last.set(at)
        parent.add(child.samples())
    assert shown.get_sample_value("runs_total", {"outcome": "done"}) == 4
    assert shown.get_sample_value("last_seconds") == 5
