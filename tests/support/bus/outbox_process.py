"""A process that works with a journal, to be killed or raced by tests: ``outbox_process.py ROLE FOLDER [ARGUMENT]``.

``write N`` appends N records, says so and lives on, its lock held. ``adopt GO`` waits for the file GO, adopts what it
finds, prints the values as a JSON list and lives on, its locks held.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from shared.bus.outbox import Outbox, Record


def record(number: int) -> Record:
    return Record("fraud.decisions", b"card-%d" % (number % 7), b"value-%d" % number, [("ce_id", b"id-%d" % number)])


def main(role: str, folder: Path, argument: str) -> None:
    outbox = Outbox(folder, segment_bytes=2_000)
    if role == "write":
        for number in range(int(argument)):
            outbox.append([record(number)])
        print("written", flush=True)
    else:
        while not Path(argument).exists():
            time.sleep(0.001)
        print(json.dumps([one.value.decode() for _, found in outbox.adopt() for one in found]), flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
