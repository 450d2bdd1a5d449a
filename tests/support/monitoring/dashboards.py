"""Reads the dashboards and rules as files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[3] / "knative" / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))

_METRIC = re.compile(r"\b(?:emulator|fraud|inference|kafka|process|shadow)[_:][a-z0-9_:]+")
_CONDITION = re.compile(r"\bEmpty (?:until|unless|while) ([^.]+)\.")
_VARIABLES = {"$__rate_interval": "30s", "$__range": "15m"}


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard, rows left out.

    Attributes:
        dashboard: Name of its file.
        document: The panel as it stands there.
    """

    dashboard: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Dashboard and title."""
        return f"{self.dashboard}: {self.document['title']}"

    @property
    def queries(self) -> list[str]:
        """Its expressions, with values in place of Grafana's variables."""
        return [with_values(target["expr"]) for target in self.document["targets"]]

    @property
    def empty_until(self) -> str | None:
        """What has to happen before it can show anything, by its description; None when it always shows something."""
        found = _CONDITION.search(self.document["description"])
        return found and found[1]


def panels() -> Iterator[Panel]:
    """All panels of all dashboards."""
    for path in DASHBOARDS:
        for document in json.loads(path.read_text())["panels"]:
            if document["type"] != "row":
                yield Panel(path.stem, document)


def rules() -> Iterator[dict[str, Any]]:
    """All recording and alert rules."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def with_values(expression: str) -> str:
    """An expression with values in place of Grafana's variables."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def family(metric: str) -> str:
    """The name that a histogram's buckets, sum and count have in common; any other name as it is."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)
