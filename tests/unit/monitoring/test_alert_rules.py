"""Alert rules before Prometheus' own test program."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.monitoring.dashboards import MONITORING, rules
from tests.support.monitoring.prometheus import program

TESTS = Path(__file__).with_name("alerts.test.yml")


def promtool(*arguments: str | Path, folder: Path) -> None:
    ended = subprocess.run(
        [program("promtool"), *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_alerts_fire_and_stay_silent_as_written(tmp_path: Path) -> None:
    path = tmp_path / "alerts.test.yml"
    path.write_text(TESTS.read_text().replace("RULES", str(MONITORING / "prometheus" / "rules" / "*.yml")))
    promtool("test", "rules", path, folder=tmp_path)


def test_every_alert_is_seen_firing_and_silent() -> None:
    seen: dict[str, set[bool]] = {rule["alert"]: set() for rule in rules() if "alert" in rule}
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test.get("alert_rule_test", ()):
            seen[case["alertname"]].add(bool(case["exp_alerts"]))
    assert {alert for alert, outcomes in seen.items() if outcomes != {True, False}} == set()


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert all(rule["annotations"][name].strip() for name in ("summary", "description", "runbook"))


@pytest.mark.parametrize("name", ["local.yml", "containers.yml"])
def test_a_configuration_is_valid(name: str) -> None:
    promtool("check", "config", name, folder=MONITORING / "prometheus")


def test_the_configuration_of_a_cluster_is_valid(tmp_path: Path) -> None:
    document = yaml.safe_load((MONITORING / "prometheus" / "cluster.yml").read_text())
    (functions, _) = document["scrape_configs"]
    # Debian's Prometheus is built without Kubernetes: what remains is checked in its place.
    assert functions.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["fraud"]}}]
    functions["static_configs"] = [{"targets": ["127.0.0.1:8080"]}]
    (tmp_path / "cluster.yml").write_text(yaml.safe_dump(document))
    promtool("check", "config", "--syntax-only", "cluster.yml", folder=tmp_path)
