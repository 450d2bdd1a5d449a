"""The dashboards as files: complete, readable, and asking for nothing that nobody shows."""

import ast
import functools
import json
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.monitoring.dashboards import DASHBOARDS, MONITORING, Panel, family, metrics_in, panels, rules
from tests.support.monitoring.prometheus import program

PROJECT = Path(__file__).parents[3]
OF_OTHERS = {
    "kafka_consumergroup_lag",  # the Kafka exporter's
    "kafka_topic_partition_current_offset",
    "process_cpu_seconds_total",  # the Prometheus client's own
    "process_resident_memory_bytes",
}
ELSEWHERE = {"local.yml", "containers.yml"}
METRIC_CLASSES = {"Counter", "Gauge", "Histogram", "Metric"}


@functools.cache
def exported() -> set[str]:
    """Every metric that the code makes; a counter's name ends in _total."""
    names = set()
    for path in [*PROJECT.glob("functions/**/*.py"), *PROJECT.glob("shared/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in METRIC_CLASSES):
                continue
            if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                name = node.args[0].value
                counter = node.func.id in ("Counter", "Metric")
                names.add(f"{name.removesuffix('_total')}_total" if counter else name)
    return names


def expressions() -> list[tuple[str, str]]:
    of_panels = [(panel.name, query) for panel in panels() for query in panel.queries]
    return of_panels + [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


@pytest.mark.parametrize("panel", [*panels()], ids=lambda panel: panel.name)
def test_a_panel_says_what_it_shows(panel: Panel) -> None:
    defaults = panel.document["fieldConfig"]["defaults"]
    assert panel.document["title"]
    assert panel.document["description"].endswith(".")
    assert defaults["unit"]
    assert panel.document["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    references = [target["refId"] for target in panel.document["targets"]]
    assert references
    assert len(references) == len(set(references))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_their_own_number_and_place(path: Path) -> None:
    document = json.loads(path.read_text())
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))

    def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        return not (beside or above)

    places = [(panel["title"], panel["gridPos"]) for panel in document["panels"]]
    assert all(place["x"] + place["w"] <= 24 for _, place in places)
    assert [(a, b) for (a, one), (b, other) in combinations(places, 2) if overlap(one, other)] == []


def test_dashboards_are_told_apart() -> None:
    documents = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({document["uid"] for document in documents}) == len({document["title"] for document in documents}) == 2


@pytest.mark.parametrize(("name", "expression"), expressions(), ids=lambda value: value[:40])
def test_an_expression_asks_for_metrics_that_somebody_shows(name: str, expression: str) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = exported() | recorded | OF_OTHERS
    unknown = {metric for metric in metrics_in(expression) if metric not in known and family(metric) not in known}
    assert unknown == set(), name


def test_every_expression_is_promql(tmp_path: Path) -> None:
    group = [{"record": "checked:expression", "expr": expression} for _, expression in expressions()]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": group}]}))
    # Many rules of one name are what its lint finds; here only the syntax counts.
    checked = subprocess.run(
        [program("promtool"), "check", "rules", "--lint=none", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_cluster_gets_every_file() -> None:
    document = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())
    listed = {name for one in document["configMapGenerator"] for name in one["files"]}
    mounted = {
        str(path.relative_to(MONITORING))
        for path in MONITORING.rglob("*")
        if path.parent != MONITORING and path.suffix in (".json", ".yml") and path.name not in ELSEWHERE
    }
    assert listed == mounted
    for resource in document["resources"]:
        assert (MONITORING / resource).is_file()


def container(name: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((MONITORING / f"{name}.yaml").read_text())
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("name", ["prometheus", "grafana", "kafka-exporter"])
def test_pods_mount_what_is_generated_and_run_without_rights(name: str) -> None:
    generated = {
        one["name"] for one in yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["configMapGenerator"]
    }
    pod = container(name)
    mounted = {volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume}
    assert mounted <= generated
    assert pod["securityContext"]["runAsNonRoot"]
    assert isinstance(pod["securityContext"]["runAsUser"], int)
    for one in pod["containers"]:
        assert one["securityContext"]["readOnlyRootFilesystem"]
        assert one["resources"]["requests"]
