"""What every command prints the same way: JSON documents, refusals, exit status."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_WRONG_USE = 2


class CommandFailed(Exception):
    """A command was refused or failed; the message is the reason, shown on standard error (exit status 1).

    Raise it anywhere under a command: `shared.cli.main.main` prints it without a traceback.
    """


def print_json(document: Any) -> None:
    """Write one JSON document and a newline to standard output, which carries nothing else under `--json`.

    Args:
        document: Anything `json` can write; other types (paths, datetimes) are written as their text.
    """
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
    sys.stdout.flush()


def fail(reason: str) -> NoReturn:
    """End the command with `reason` on standard error and exit status 1.

    Raises:
        CommandFailed: Always.
    """
    raise CommandFailed(reason)


def console(*, stderr: bool = False) -> Console:
    """Return a rich console; with `stderr=True` one for progress and remarks, which `--json` must not mix in.

    rich is imported here because `fraud --help` has no need of it.
    """
    from rich.console import Console  # noqa: PLC0415

    stream = sys.stderr if stderr else sys.stdout
    # Rich takes 80 columns where there is no terminal, and would cut addresses in a log.
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else 120)
