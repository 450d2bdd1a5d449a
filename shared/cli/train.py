"""`fraud train`: train models now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from shared.cli.asking import ask, function_url
from shared.cli.models import DEFAULT_MODEL, describe, registry_uri, show_versions
from shared.cli.output import console, fail, print_json
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.errors import RegistryUnavailable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

FUNCTION = "train"


def command(
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Train on a fresh simulated history although there is a champion.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the simulated history and of the models.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Learn from what was known then: a date (its UTC midnight) or a moment."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of the train function; default the running system's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Train now instead of at the next scheduled time, and wait for the result.

    With a champion there, a challenger learns from the lake's decisions whose labels have matured; when they are too
    few, that is said. --bootstrap learns from a simulated history instead.

    Example: fraud train --as-of 2026-01-15
    """
    cut = None if as_of is None else _moment(as_of)
    target = url or function_url(FUNCTION)
    notes = console(stderr=True)
    with _progress(notes, "training (about a minute)"):
        asked = {"bootstrap": bootstrap, "seed": seed, "as_of": cut, "insist": True}
        run = ask(FUNCTION, {name: value for name, value in asked.items() if value is not None}, target)
    registered = {one["version"] for one in run.outputs["registered"]}
    versions = _versions(RegistryClient(registry_uri()))
    new = [version for version in versions if version.version in registered]
    champion = next((version.version for version in versions if "champion" in version.aliases), None)
    if as_json:
        made = [describe(version) for version in new]
        print_json({"run": run.run_id, "registered": made, "champion": champion, "seconds": run.seconds})
    elif new:
        show_versions(new)
    else:
        notes.print(f"nothing was registered; champion {champion} stays")


def _progress(notes: Console, what: str) -> Progress:
    """Return a spinner with the time that has passed; it leaves nothing behind."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    progress = Progress(SpinnerColumn(), TextColumn(what), TimeElapsedColumn(), console=notes, transient=True)
    progress.add_task(what, total=None)
    return progress


def _versions(registry: RegistryClient) -> list[ModelVersion]:
    try:
        return registry.versions(DEFAULT_MODEL)
    except RegistryUnavailable as error:
        fail(f"the model registry cannot be read: {error}")


def _moment(text: str) -> str:
    """Read a date, or a date and time, as RFC 3339; without a zone it is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a date nor a date and time", param_hint="--as-of") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
