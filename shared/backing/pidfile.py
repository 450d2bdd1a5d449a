"""Pid files that survive a killed supervisor: pid, start time, and what the process was started for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class PidFile:
    """One process on record.

    Attributes:
        pid: Process id.
        started: Start time in seconds since the epoch; tells the process from a later one of the same id.
        identity: What it was started as; a process of another identity is not taken over, but stopped.
    """

    pid: int
    started: float
    identity: str

    @classmethod
    def of(cls, pid: int, identity: str) -> PidFile:
        """Describe the live process `pid`.

        Raises:
            psutil.NoSuchProcess: It is gone already.
        """
        return cls(pid, psutil.Process(pid).create_time(), identity)

    @classmethod
    def read(cls, path: Path) -> PidFile | None:
        """Return the record at `path`; None when there is none or it was cut short."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the record whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(path)

    def process(self) -> psutil.Process | None:
        """Return the process if it is the one on record and still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None
