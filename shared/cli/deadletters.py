"""Look at events that no function could take, and send them again."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from shared.bus.topics import DEAD_LETTERS
from shared.cli.output import console, fail, print_json
from shared.cli.stack_state import running_stack
from shared.emulator.delivery.dead_letters import DeadLetter
from shared.emulator.delivery.redrive import DeadLetterReader, DeadLettersUnavailable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__,
)

_SHOWN_REASON = 120
_Servers = Annotated[
    str | None,
    typer.Option("--bootstrap-servers", help="Kafka; default KAFKA_BOOTSTRAP_SERVERS, else the running system's."),
]
_Topic = Annotated[str, typer.Option(help="Topic of the dead letters.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most dead letters to show.")] = 20,
    bootstrap_servers: _Servers = None,
    topic: _Topic = DEAD_LETTERS,
    as_json: _Json = False,
) -> None:
    """List the latest dead letters, newest first, with the reason of each.

    Values are not shown: they may hold what must not reach a terminal.

    Example: fraud dead-letters list --limit 5
    """
    reader = _reader(bootstrap_servers, topic)
    try:
        letters, pending = reader.latest(limit), reader.pending()
    except DeadLettersUnavailable as error:
        fail(str(error))
    if as_json:
        print_json({"topic": topic, "pending": pending, "dead_letters": [describe(letter) for letter in letters]})
        return
    _show(letters)
    console(stderr=True).print(f"{pending} not redriven yet; shown: {len(letters)}")


@app.command()
def redrive(
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="Most dead letters to handle; default all.")] = None,
    bootstrap_servers: _Servers = None,
    topic: _Topic = DEAD_LETTERS,
    as_json: _Json = False,
) -> None:
    """Send the dead letters that were not redriven yet to their original topics again.

    Key, value and headers are the original's. Consumers are idempotent, so those that had taken an event before are
    not harmed. What cannot be sent is counted with its reason and not looked at again.

    Example: fraud dead-letters redrive
    """
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415 - only what shows progress pays for it

    reader = _reader(bootstrap_servers, topic)
    try:
        pending = reader.pending()
        total = pending if limit is None else min(limit, pending)
        with Progress(
            *Progress.get_default_columns(), MofNCompleteColumn(), console=console(stderr=True), disable=as_json
        ) as bar:
            task = bar.add_task("redriving", total=total)
            result = reader.redrive(limit, lambda handled: bar.update(task, completed=handled))
    except DeadLettersUnavailable as error:
        fail(str(error))
    if as_json:
        print_json({"topic": topic, "found": result.found, "sent": result.sent, "skipped": result.skipped})
        return
    console().print(f"{result.sent} of {result.found} dead letters sent again")
    for reason, count in result.skipped.items():
        console().print(f"{count} left alone: {reason}")


def describe(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as the JSON output shows it; what its headers do not say is null."""
    record = letter.record
    return {
        "partition": record.partition,
        "offset": record.offset,
        "time_ms": record.timestamp_ms,
        "source": letter.source,
        "destination": letter.destination,
        "code": letter.code,
        "reason": letter.reason,
        "original_topic": letter.original_topic,
        "original_partition": letter.original_partition,
        "original_offset": letter.original_offset,
        "value_bytes": None if record.value is None else len(record.value),
    }


def _reader(bootstrap_servers: str | None, topic: str) -> DeadLetterReader:
    servers = bootstrap_servers or os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or running_stack().kafka
    return DeadLetterReader(servers, topic)


def _show(letters: list[DeadLetter]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only what prints a table pays for it
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title in ("dead letter", "came from", "source", "code", "reason"):
        table.add_column(title)
    for letter in letters:
        origin = f"{letter.original_topic}-{letter.original_partition} @ {letter.original_offset}"
        table.add_row(
            f"{letter.record.partition} @ {letter.record.offset}",
            Text(origin if letter.original_topic else "-"),
            Text(letter.source or "-"),
            Text(letter.code or "-"),
            # Somebody else's text: no markup, no control characters.
            Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in letter.reason[:_SHOWN_REASON])),
        )
    console().print(table)
