"""Log files of the emulated services: JSON lines of all replicas of a service, bounded in size."""

from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

MAX_BYTES = 20_000_000
KEPT_FILES = 2
"""Rotated files beside the current one: NAME.jsonl.1 is the younger."""


def log_path(home: Path, service: str) -> Path:
    """Where the log of a service stands under the state folder."""
    return home / "logs" / f"{service}.jsonl"


class LogFile:
    """Writes one JSON object per line: time, level, message, service, replica, and the trace id where there is one.

    Args:
        path: The file; older ones stand beside it with a number.
        service: Name of the service.
        max_bytes: Size at which a new file is begun.
    """

    def __init__(self, path: Path, service: str, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._service = service
        self._max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, replica: str, line: bytes) -> None:
        """Add a replica's line; what is no JSON object becomes the message of one."""
        if not line.strip():
            return
        encoded = orjson.dumps(self._entry(replica, line), option=orjson.OPT_APPEND_NEWLINE)
        if self._size + len(encoded) > self._max_bytes and self._size:
            self._rotate()
        self._file.write(encoded)
        self._size += len(encoded)

    def event(self, replica: str, level: str, message: str) -> None:
        """Add a line of the emulator's own about a replica."""
        entry = {"time": _now(), "level": level, "message": message, "logger": "emulator"}
        self.write(replica, orjson.dumps(entry))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _entry(self, replica: str, line: bytes) -> dict[str, Any]:
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            fields = {"time": _now(), "level": "info", "message": line.decode(errors="replace")}
        return fields | {"service": self._service, "replica": replica}

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT_FILES, 1, -1):
            younger = self._path.with_name(f"{self._path.name}.{number - 1}")
            if younger.exists():
                younger.replace(self._path.with_name(f"{self._path.name}.{number}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab", buffering=0)
        self._size = 0


class Tail:
    """The last lines of a process, for saying why it failed."""

    def __init__(self, lines: int = 20) -> None:
        self._lines: deque[str] = deque(maxlen=lines)

    def add(self, line: bytes) -> None:
        """Remember a line, of a JSON one its message and exception."""
        text = line.decode(errors="replace").rstrip()
        if text.startswith("{"):
            try:
                fields = orjson.loads(line)
                text = "\n".join(str(fields[key]) for key in ("message", "exc_info") if fields.get(key)) or text
            except orjson.JSONDecodeError:
                pass  # a line that only looks like JSON is kept as it is
        if text:
            self._lines.append(text)

    def __str__(self) -> str:
        return "\n".join(self._lines)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
