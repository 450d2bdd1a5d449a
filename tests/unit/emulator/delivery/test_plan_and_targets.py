import json
from pathlib import Path

import pytest
import yaml

from shared.emulator.delivery.plan import Sink, bootstrap_override, plan_kafka_source
from shared.emulator.delivery.retry import KAFKA_SOURCE_DEFAULT
from shared.emulator.delivery.targets import Targets
from shared.emulator.manifests import ManifestError, load_manifests
from tests.support.delivery.dispatcher import kafka_sink, kafka_source, service


def plan(folder: Path, source: dict, sink: dict | None = None, servers: str | None = None):
    (folder / "all.yaml").write_text(yaml.safe_dump_all([service(), sink or kafka_sink("dead"), source]))
    manifests = load_manifests(folder)
    return plan_kafka_source(manifests.kafka_sources[source["metadata"]["name"]], manifests, servers, 100)


def test_a_source_is_resolved_as_its_manifest_says(tmp_path: Path) -> None:
    delivery = {"retry": 7, "backoffPolicy": "linear", "backoffDelay": "PT1.5S", "timeout": "PT2M"}
    found = plan(tmp_path, kafka_source("s", "a", "b", delivery=delivery, consumers=3, ordering="unordered"))
    assert (found.topics, found.group, found.ordered, found.from_end) == (("a", "b"), "group-s", False, False)
    assert (found.retry.retry, found.retry.backoff_delay, found.retry.timeout) == (7, 1.5, 120.0)
    assert found.max_in_flight == 300
    assert found.dead_letters is not None
    assert (found.dead_letters.bootstrap_servers, found.dead_letters.topic) == ("kafka:9092", "dead")


def test_another_broker_can_be_named_for_source_and_sink(tmp_path: Path) -> None:
    found = plan(tmp_path, kafka_source("s", "a"), servers="other:1")
    assert found.dead_letters is not None
    assert (found.bootstrap_servers, found.dead_letters.bootstrap_servers) == ("other:1", "other:1")
    assert bootstrap_override("option:1", {"KAFKA_BOOTSTRAP_SERVERS": "env:1"}) == "option:1"
    assert bootstrap_override(None, {"KAFKA_BOOTSTRAP_SERVERS": "env:1"}) == "env:1"
    assert bootstrap_override(None, {}) is None


def test_without_a_delivery_block_knatives_defaults_apply_and_there_are_no_dead_letters(tmp_path: Path) -> None:
    source = kafka_source("s", "a")
    del source["spec"]["delivery"]
    found = plan(tmp_path, source)
    assert found.retry == KAFKA_SOURCE_DEFAULT
    assert found.dead_letters is None


def test_a_sink_that_would_rewrite_dead_letters_is_refused_by_file_and_field(tmp_path: Path) -> None:
    sink = kafka_sink("dead")
    sink["spec"]["contentMode"] = "structured"
    with pytest.raises(ManifestError, match=r"all\.yaml: spec\.contentMode"):
        plan(tmp_path, kafka_source("s", "a"), sink)


def test_addresses_follow_the_file_and_outlive_a_broken_one(tmp_path: Path) -> None:
    file = tmp_path / "targets.json"
    targets = Targets(file)
    assert targets.url(Sink("scorer", "/")) is None
    for base, path, url in [("http://a:1", "/", "http://a:1/"), ("http://b:22/", "/x", "http://b:22/x")]:
        file.write_text(json.dumps({"scorer": base}))
        targets.refresh()
        assert targets.url(Sink("scorer", path)) == url
    for broken in ("{", "[]", '{"scorer": 1}'):
        file.write_text(broken)
        targets.refresh()
    file.unlink()
    targets.refresh()
    assert targets.url(Sink("scorer", "/")) == "http://b:22/"
