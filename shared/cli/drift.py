"""`fraud drift`: compare a day of live traffic with what the champion was made on."""

from __future__ import annotations

import webbrowser
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.cli.asking import ask
from shared.cli.output import CommandFailed, console, fail, print_json
from shared.cli.runs import lake_settings
from shared.cli.stack_state import fraud_home

if TYPE_CHECKING:
    from rich.console import Console

FUNCTION = "drift"
REPORTS = "reports"
_DATE = ["%Y-%m-%d"]


def command(
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=_DATE, help="Judge the 24 hours before this day (UTC) instead of those before now."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DATE, help="With --as-of: and those before each day up to this one.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the function; default the running system's.")] = None,
    *,
    open_report: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Judge now instead of at the next full hour, and show the verdict. Found drift starts a training.

    Example: fraud drift --open

    Example: fraud drift --as-of 2026-01-10 --until 2026-01-20
    """
    notes = console(stderr=True)
    verdicts = []
    for day in _days(as_of, until):
        said = "the last 24 hours" if day is None else f"the day before {day:%Y-%m-%d}"
        with notes.status(f"judging {said} (about half a minute)"):
            verdicts.append(ask(FUNCTION, {} if day is None else {"as_of": f"{day:%Y-%m-%d}"}, url).outputs)
        if not as_json:
            show(console(), verdicts[-1])
    if as_json:
        print_json(verdicts if until else verdicts[-1])
    if open_report:
        open_last(verdicts)


def _days(as_of: datetime | None, until: datetime | None) -> list[datetime | None]:
    if as_of is None:
        if until is not None:
            raise typer.BadParameter("--until needs --as-of")
        return [None]
    last = until or as_of
    if last < as_of:
        raise typer.BadParameter("--until lies before --as-of")
    return [as_of + timedelta(days=number) for number in range((last - as_of).days + 1)]


def show(to: Console, verdict: dict[str, Any]) -> None:
    """Print a verdict."""
    from rich.table import Table  # noqa: PLC0415

    if verdict["outcome"] == "no verdict":
        to.print(f"no verdict: {verdict['reason']}")
        return
    volume = verdict["volume"]
    usual = "" if volume["usual_rows"] is None else f", usually {volume['usual_rows']:,.0f}"
    to.print(
        f"[bold]{verdict['outcome']}[/] from {verdict['window_start']} to {verdict['window_end']}: "
        f"{volume['rows']:,} decisions{usual}; against the reference of version {verdict['model_version']}"
    )
    table = Table(box=None, pad_edge=False)
    for title in ("drifted", "measure", "effect", "lower bound", "threshold"):
        table.add_column(title, justify="left" if title in ("drifted", "measure") else "right")
    for one in verdict["findings"]:
        figures = (f"{one[name]:.3f}" for name in ("effect", "lower_bound", "threshold"))
        table.add_row(one["name"], one["measure"], *figures)
    if verdict["findings"]:
        to.print(table)
    if verdict["immature"]:
        to.print(f"the stream is too young for {len(verdict['immature'])} of the quantities")
    to.print(f"report: {verdict['report']}")


def open_last(verdicts: list[dict[str, Any]]) -> None:
    """Fetch the newest report out of the lake and open it.

    Raises:
        CommandFailed: There is none, or the lake does not answer.
    """
    from shared.lake.errors import LakeAway  # noqa: PLC0415
    from shared.lake.objects import Objects  # noqa: PLC0415

    address = next((one["report"] for one in reversed(verdicts) if "report" in one), None)
    if address is None:
        fail("there is no report to open")
    settings = lake_settings()
    key = address.removeprefix(f"{settings.root}/{REPORTS}/")
    try:
        stored = Objects(settings, REPORTS).get(key)
    except LakeAway as away:
        raise CommandFailed(f"the report cannot be read: {away}") from away
    if stored is None:
        fail(f"{address} is gone")
    path: Path = fraud_home() / REPORTS / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stored.body)
    console(stderr=True).print(f"opening {path}")
    webbrowser.open(path.as_uri())
