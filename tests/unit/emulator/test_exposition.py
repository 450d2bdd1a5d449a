from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared.emulator.exposition import add_up


def replica(answered: int, age: float, *seconds: float) -> str:
    registry = CollectorRegistry()
    counter = Counter("answered", 'Requests "answered".\nAll of them.', ["path"], registry=registry)
    counter.labels('/a"\\\n').inc(answered)
    Gauge("age_seconds", "Age.", registry=registry).set(age)
    histogram = Histogram("latency_seconds", "Latency.", buckets=(0.1, 1), registry=registry)
    for value in seconds:
        histogram.observe(value)
    return generate_latest(registry).decode()


def values(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("le", sample.labels.get("replica", ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_and_histograms_add_up_and_gauges_stay_apart() -> None:
    text = add_up({"a": replica(2, 10, 0.05, 5), "b": replica(3, 20, 0.5)})
    assert values(text) == {
        ("answered_total", ""): 5,
        ("age_seconds", "a"): 10,
        ("age_seconds", "b"): 20,
        ("latency_seconds_bucket", "0.1"): 1,
        ("latency_seconds_bucket", "1.0"): 2,
        ("latency_seconds_bucket", "+Inf"): 3,
        ("latency_seconds_count", ""): 3,
        ("latency_seconds_sum", ""): 5.55,
    }


def test_ended_replicas_count_on_but_show_no_gauge() -> None:
    found = values(add_up({"b": replica(3, 20)}, retired=[replica(2, 10), replica(4, 11)]))
    assert found["answered_total", ""] == 9
    assert ("age_seconds", "b") in found
    assert len([key for key in found if key[0] == "age_seconds"]) == 1


def test_labels_and_help_survive() -> None:
    (family,) = (one for one in text_string_to_metric_families(add_up({"a": replica(1, 1)})) if one.name == "answered")
    assert family.documentation == 'Requests "answered".\nAll of them.'
    assert family.samples[0].labels == {"path": '/a"\\\n'}


def test_nothing_is_nothing() -> None:
    assert add_up({}) == ""
