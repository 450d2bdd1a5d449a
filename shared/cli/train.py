"""`fraud train`: train models now."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
import urllib3

from shared.cli.models import DEFAULT_MODEL, describe, registry_uri, show_versions
from shared.cli.output import CommandFailed, console, fail, print_json
from shared.cli.stack_state import running_stack
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.event_time import now_milliseconds
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.errors import RegistryUnavailable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

FUNCTION = "train"
SOURCE = "/fraud/cli"
TIMEOUT_S = 900.0
ADMIN_TIMEOUT_S = 5.0


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
    target = url or function_url()
    registry = RegistryClient(registry_uri())
    before = {version.version for version in _versions(registry)}
    started = time.monotonic()
    notes = console(stderr=True)
    with _progress(notes, "training (about a minute)"):
        _ask(target, {"bootstrap": bootstrap, "seed": seed, "as_of": cut, "insist": True})
    versions = _versions(registry)
    new = [version for version in versions if version.version not in before]
    champion = next((version.version for version in versions if "champion" in version.aliases), None)
    if as_json:
        seconds = round(time.monotonic() - started, 1)
        print_json({"registered": [describe(version) for version in new], "champion": champion, "seconds": seconds})
    elif new:
        show_versions(new)
    else:
        notes.print(f"nothing was registered; champion {champion} stays")


def function_url() -> str:
    """Return the address of the running system's train function.

    Raises:
        StackNotRunning: Nothing runs here.
        CommandFailed: The system does not know its train function.
    """
    status = f"{running_stack().admin_url}/status"
    try:
        services = urllib3.request("GET", status, timeout=ADMIN_TIMEOUT_S, retries=False).json()["services"]
        return str(services[FUNCTION]["url"])
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{status} does not say where the train function is: {error!r}") from error


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


def _ask(url: str, request: Mapping[str, Any]) -> None:
    """Send the function the same event its schedule sends, and wait until it has trained."""
    asked = {name: value for name, value in request.items() if value is not None}
    event = Event(
        id=str(uuid.uuid4()),
        source=SOURCE,
        type=cloudevents.PING,
        data=orjson.dumps(asked),
        time=cloudevents.event_time(now_milliseconds()),
    )
    headers, body = cloudevents.to_http(event)
    try:
        answer = urllib3.request("POST", url, headers=headers, body=body, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        fail(f"the train function at {url} does not answer: {error}")
    if answer.status != 202:
        fail(f"the train function answered {answer.status}: {_detail(answer.data)}")


def _detail(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "no reason given"
