"""One check of parity as a process: `python -m functions.archiver.parity_job REQUEST`.

The request is a JSON object with `since` and `until` (RFC 3339), `share` and `most`; the report, on standard output, is
the JSON form of `shared.parity.check.Report`.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Any

import orjson

from shared.lake.errors import TableMissing
from shared.lake.lake import Lake
from shared.parity.check import ParityCheck, Report
from shared.telemetry import logs


def check(asked: dict[str, Any], lake: Lake) -> Report:
    """Do the check that is asked for; before anything has been archived it finds nothing."""
    try:
        holes = [hole for name in ("transactions", "decisions") if (hole := lake.complete_since(name)) is not None]
        parity = ParityCheck(
            lake, share=asked["share"], most=asked["most"], complete_since=max(holes) if holes else None
        )
        return parity.run(datetime.fromisoformat(asked["since"]), datetime.fromisoformat(asked["until"]))
    except TableMissing:
        return Report()


def main() -> None:
    """Entry point of the process."""
    logs.configure("archiver")
    report = check(orjson.loads(sys.argv[1]), Lake.open())
    sys.stdout.buffer.write(orjson.dumps(report))
    sys.stdout.flush()
    # Arrow's threads may call into the interpreter while it is taken down, which aborts the process.
    os._exit(0)


if __name__ == "__main__":
    main()
