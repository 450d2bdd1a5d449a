"""`fraud models`: the versions of the model registry."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer

from shared.cli.output import CommandFailed, console, fail, print_json
from shared.cli.stack_state import running_stack
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.errors import RegistryUnavailable

DEFAULT_MODEL = "fraud"
_FIGURES = ("average_precision", "request_only_average_precision", "decline_at", "review_at")


def command(
    model: Annotated[str, typer.Option(help="Registered model.")] = DEFAULT_MODEL,
    registry: Annotated[
        str | None, typer.Option(help="Address of the MLflow server; default MLFLOW_TRACKING_URI, else the system's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List the model versions, newest first, with their aliases, average precision and thresholds.

    Example: fraud models
    """
    uri = registry or registry_uri()
    try:
        versions = RegistryClient(uri).versions(model)
    except (RegistryUnavailable, ValueError) as error:
        fail(f"the model registry at {uri} cannot be read: {error}")
    if as_json:
        print_json({"model": model, "registry": uri, "versions": [describe(version) for version in versions]})
        return
    if not versions:
        fail(f"no version of {model} is registered at {uri}: `fraud train` makes the first one")
    show_versions(versions)


def registry_uri() -> str:
    """Return the address of the model registry: `MLFLOW_TRACKING_URI`, else the running system's.

    Raises:
        StackNotRunning: Neither is there.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or running_stack().mlflow_uri


def describe(version: ModelVersion) -> dict[str, Any]:
    """Return a version as the JSON output shows it; figures that were not recorded are null."""
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "created": _created(version).isoformat(),
        **{name: _number(version.tags.get(name)) for name in _FIGURES},
        "promotion": version.tags.get("promotion"),
        "reasons": _reasons(version),
        "policy_version": version.tags.get("policy_version"),
        "catalogue_version": version.tags.get("catalogue_version"),
        "training_data": version.tags.get("training_data"),
        "run_id": version.run_id,
    }


def show_versions(versions: list[ModelVersion]) -> None:
    """Print versions as a table."""
    from rich.table import Table  # noqa: PLC0415 - only what prints a table pays for it

    table = Table(box=None, pad_edge=False)
    for title in (
        "version",
        "alias",
        "average precision",
        "request only",
        "decline at",
        "review at",
        "created",
        "verdict",
    ):
        table.add_column(title, justify="left" if title in ("alias", "created", "verdict") else "right", no_wrap=True)
    for version in versions:
        figures = [_number(version.tags.get(name)) for name in _FIGURES]
        written = ["-" if figure is None else f"{figure:.4f}" for figure in figures]
        created = f"{_created(version):%Y-%m-%d %H:%M} UTC"
        table.add_row(
            version.version, ", ".join(version.aliases) or "-", *written, created, version.tags.get("promotion", "-")
        )
    console().print(table)
    for version in versions:
        for reason in _reasons(version):
            console().print(f"version {version.version} {version.tags['promotion']}: {reason}")


def _reasons(version: ModelVersion) -> list[str]:
    """Why the version was promoted, kept, rejected or rolled back last."""
    text = version.tags.get("promotion_reasons")
    try:
        return [] if text is None else [str(one) for one in orjson.loads(text)]
    except orjson.JSONDecodeError:
        return [str(text)]


def _created(version: ModelVersion) -> datetime:
    return datetime.fromtimestamp(version.created_ms / 1000, UTC)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise CommandFailed(f"the registry holds {text!r} where a number belongs") from error
