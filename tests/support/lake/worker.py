"""`python -m tests.support.lake.worker [PLACE NUMBER DELAY_MS]`: archives run after run, and dies as told.

The process is ended by the kernel, without a chance to clean up, DELAY_MS after PLACE was reached for the NUMBER-th
time. Without a place it goes on until nothing is left on the topics, and says so by its exit status 0.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from functions.archiver import archive, sink, upkeep
from functions.archiver.composition import compose
from shared.hosts.outcome import ServiceAway

PLACES: dict[str, tuple[Any, str, bool]] = {
    "reading": (archive.TopicReader, "read", False),
    "read": (archive.TopicReader, "read", True),
    "appending": (sink.Sink, "append", False),
    "writing": (sink, "write_deltalake", False),
    "written": (sink, "write_deltalake", True),
    "appended": (sink.Sink, "append", True),
    "putting aside": (archive.Archive, "_put_aside", False),
    "put aside": (archive.Archive, "_put_aside", True),
    "compacting": (upkeep, "compact", False),
    "compacted": (upkeep, "compact", True),
}
"""Where a process may be told to die: before or after a call."""


NEVER_REACHED = 75
"""Exit status of a process that did not come to its place within 20 seconds; it ends as abruptly."""


def die_at(place: str, number: int, delay_ms: float) -> None:
    owner, name, afterwards = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)
    reached = 0

    def reach() -> None:
        nonlocal reached
        reached += 1
        if reached == number:
            # The alarm's default action ends the process as kill -9 does, in the midst of native code too.
            signal.setitimer(signal.ITIMER_REAL, max(delay_ms, 0.001) / 1e3)

    def replaced(*arguments: Any, **named: Any) -> Any:
        if not afterwards:
            reach()
        result = original(*arguments, **named)
        if afterwards:
            reach()
        return result

    setattr(owner, name, replaced)


def main() -> None:
    deadly = len(sys.argv) > 1
    if deadly:
        die_at(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
        nowhere = threading.Timer(20, os._exit, [NEVER_REACHED])
        nowhere.daemon = True
        nowhere.start()
    archiver = compose()
    while True:
        try:
            tables = archiver.invoke({})["tables"]
        except ServiceAway as away:
            print(away, file=sys.stderr)
            time.sleep(0.2)
            continue
        if not deadly and not any(one["lag"] or one["rows"] or one["conflicts"] for one in tables.values()):
            return


if __name__ == "__main__":
    main()
