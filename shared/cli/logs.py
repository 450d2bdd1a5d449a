"""`fraud logs`: what the functions' replicas wrote, readable or as JSON."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from shared.cli.output import fail, print_json
from shared.cli.stack_state import fraud_home

ALL = "all"
_POLL_SECONDS = 0.2
_COLOURS = {"warning": typer.colors.YELLOW, "error": typer.colors.RED, "critical": typer.colors.BRIGHT_RED}
_SHOWN_FIRST = ("time", "level", "service", "replica", "logger", "message")


def command(
    function: Annotated[str, typer.Argument(help="scorer, feature-updater, ..., delivery, or all")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Show this many of the last lines.")] = 50,
    trace: Annotated[str | None, typer.Option(help="Only lines of this trace id, from the oldest on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array; with -f one JSON object per line.")] = False,
) -> None:
    """Show the log of a function's replicas.

    Example: fraud logs scorer -f

    Example: fraud logs all --trace 4bf92f3577b34da6a3ce929d0e0e4736
    """
    folder = fraud_home() / "logs"
    files = _files(folder, function)
    entries = _last_entries(files, lines, trace)
    if as_json and not follow:
        print_json(entries)
        return
    try:
        for entry in entries:
            _show(entry, as_json=as_json)
        if follow:
            for entry in _follow(files):
                if trace is None or entry.get("trace_id") == trace:
                    _show(entry, as_json=as_json)
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _files(folder: Path, function: str) -> list[Path]:
    known = sorted(folder.glob("*.jsonl"))
    if function == ALL and known:
        return known
    file = folder / f"{function.replace('_', '-')}.jsonl"
    if file not in known:
        names = ", ".join(path.stem for path in known)
        fail(f"no log of {function} under {folder}; there are: {names}" if names else f"no logs under {folder}")
    return [file]


def _last_entries(files: list[Path], lines: int, trace: str | None) -> list[dict[str, Any]]:
    """The last entries of all files together by time; of a trace all that are kept."""
    found = [entry for file in files for entry in (_last_of(file, lines) if trace is None else _of_trace(file, trace))]
    found.sort(key=lambda entry: str(entry.get("time", "")))
    return found if trace is not None else found[len(found) - min(lines, len(found)) :]


def _parts(file: Path) -> list[Path]:
    """The file and its rotated ones, the youngest first."""
    return sorted(file.parent.glob(f"{file.name}*"))


def _last_of(file: Path, lines: int) -> list[dict[str, Any]]:
    last: list[bytes] = []
    for part in _parts(file):
        with part.open("rb") as stream:
            last = [*deque(stream, maxlen=lines - len(last)), *last]
        if len(last) >= lines:
            break
    return [orjson.loads(line) for line in last if line.endswith(b"\n")]


def _of_trace(file: Path, trace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in reversed(_parts(file)):
        with part.open("rb") as stream:
            candidates = (orjson.loads(line) for line in stream if trace.encode() in line and line.endswith(b"\n"))
            found.extend(entry for entry in candidates if entry.get("trace_id") == trace)
    return found


class _Follower:
    """Reads what is added to a log file from now on, over its rotation."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream = file.open("rb")
        self._stream.seek(0, os.SEEK_END)
        self._rest = b""

    def new(self) -> list[dict[str, Any]]:
        """Entries that were added since the last call."""
        *complete, self._rest = (self._rest + self._stream.read()).split(b"\n")
        try:
            rotated = self._file.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            rotated = False  # between the two renames of a rotation
        if rotated:
            complete += (self._rest + self._stream.read()).split(b"\n")
            self._stream.close()
            self._stream, self._rest = self._file.open("rb"), b""
        return [orjson.loads(line) for line in complete if line]


def _follow(files: list[Path]) -> Iterator[dict[str, Any]]:
    """What is added to the files from now on."""
    followers = [_Follower(file) for file in files]
    while True:
        found = [entry for follower in followers for entry in follower.new()]
        yield from found
        if not found:
            time.sleep(_POLL_SECONDS)


def _show(entry: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        text = json.dumps(entry, default=str)
    else:
        level = str(entry.get("level", "info")).lower()
        clock = str(entry.get("time", ""))[11:23]
        text = f"{clock} {level:<8}{entry.get('replica', entry.get('service', '')):<24} {entry.get('message', '')}"
        extra = " ".join(f"{key}={value}" for key, value in entry.items() if key not in (*_SHOWN_FIRST, "exc_info"))
        text = f"{text}  {extra}" if extra else text
        if trace_back := entry.get("exc_info"):
            text = f"{text}\n{trace_back}"
        if sys.stdout.isatty() and level in _COLOURS:
            text = typer.style(text, fg=_COLOURS[level])
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
