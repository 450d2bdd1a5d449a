"""The tables that `fraud up` and `fraud status` print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from shared.cli.figures import Figures
from shared.cli.stack_state import StackState


def print_addresses(console: Console, state: StackState) -> None:
    """Print where a person and a program find what."""
    table = Table(title="Addresses", title_justify="left")
    table.add_column("what")
    table.add_column("where")
    rows = [
        ("decision API", f"{state.scorer_url}/docs"),
        ("MLflow", state.mlflow_uri),
        ("S3", state.s3_url),
        ("Kafka", state.kafka),
        ("Redis", state.redis_url),
        ("emulator", f"{state.admin_url}/status"),
        ("metrics of each replica (http_sd)", f"{state.admin_url}/targets"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_figures(console: Console, figures: Figures) -> None:
    """Print how everything stands."""
    console.print(_functions(figures.functions or []))
    console.print(_backing(figures.backing))
    console.print(_live(figures))
    for problem in figures.problems:
        console.print(f"[yellow]no answer[/] {problem}")


def _functions(functions: Iterable[dict[str, Any]]) -> Table:
    table = Table(title="Functions", title_justify="left")
    for column in ("function", "replicas", "restarts", "lag", "memory", "address"):
        table.add_column(column)
    for one in functions:
        replicas = f"{int(one['ready'])}/{one['desired']}"
        table.add_row(
            one["name"],
            replicas if not one["failure"] or one["ready"] else f"[red]{replicas} {one['failure'].splitlines()[0]}[/]",
            _text(one["restarts"]),
            _text(one["lag"]),
            _mebibytes(one["memory_bytes"]),
            _text(one["url"]),
        )
    return table


def _backing(services: Iterable[dict[str, Any]]) -> Table:
    table = Table(title="Backing services", title_justify="left")
    for column in ("service", "state", "restarts", "memory", "pid", "address"):
        table.add_column(column)
    for one in services:
        colour = "green" if one["state"] == "ready" else "red"
        state = "external" if one["external"] else one["state"]
        memory = _mebibytes(one["memory_bytes"])
        pid = "-" if one["pid"] is None else str(one["pid"])
        table.add_row(one["name"], f"[{colour}]{state}[/]", _text(one["restarts"]), memory, pid, one["address"])
    return table


def _live(figures: Figures) -> Table:
    table = Table(title="Live figures", title_justify="left", show_header=False)
    decisions, shadow = figures.decisions or {}, figures.shadow or {}
    shares = ", ".join(
        f"{name} {count / decisions['total']:.1%}" for name, count in sorted(decisions.get("by_decision", {}).items())
    )
    models = ", ".join(f"{'/'.join(one['aliases'])} = version {one['version']}" for one in figures.models or [])
    rows = {
        "decisions since start": _text(decisions.get("total")) + (f" ({shares})" if shares else ""),
        "of them degraded": _text(decisions.get("degraded")),
        "decisions in Kafka": _text(figures.decisions_recorded),
        "fraud share (not approved)": _percent(figures.fraud_share, 100.0),
        "shadow agreement": f"{_percent(shadow.get('agreement_percent'))} of {_text(shadow.get('compared'))}",
        "  among alerts": f"{_percent(shadow.get('alert_agreement_percent'))} of {_text(shadow.get('alerts'))}",
        "dead letters": _text(figures.dead_letters),
        "events dropped": _text(figures.events_dropped),
        "memory": _mebibytes(figures.memory_bytes),
        "models": models or "-",
        "drift": _drift(figures.drift),
        "last promotion verdict": _promotion(figures.promotion),
        "first decision after": f"{figures.first_decision_seconds:.1f} s" if figures.first_decision_seconds else "-",
    }
    for row in rows.items():
        table.add_row(*row)
    return table


def _mebibytes(count: int | None) -> str:
    return f"{count / 2**20:.0f} MiB" if count else "-"


def _percent(value: float | None, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.2f} %"


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _drift(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "-"
    if verdict["outcome"] == "no verdict":
        return f"no verdict: {verdict['reason']}"
    names = ", ".join(one["name"] for one in verdict["findings"])
    return f"{verdict['outcome']}{f' ({names})' if names else ''} until {verdict['window_end']}, {verdict['report']}"


def _promotion(outputs: dict[str, Any] | None) -> str:
    if outputs is None:
        return "-"
    reason = outputs["reasons"][0] if outputs["reasons"] else ""
    return reason if outputs["verdict"] is None else f"version {outputs['version']} {outputs['verdict']}: {reason}"
