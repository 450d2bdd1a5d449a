"""One run as a process: `python -m functions.archiver.job TRIGGER`; its result is one JSON document on standard output.

The function stays small and answers its probes meanwhile, and what Arrow, Delta, Kafka and boto3 hold goes back.
"""

from __future__ import annotations

import os
import sys

from functions.archiver import metrics
from functions.archiver.process import Result
from functions.archiver.settings import ArchiverSettings
from functions.archiver.work import Work
from shared.hosts.outcome import ServiceAway
from shared.lake.errors import LakeAway
from shared.lake.settings import LakeSettings
from shared.runs.record import Trigger
from shared.telemetry import logs


def main() -> None:
    """Entry point of the process."""
    logs.configure("archiver")
    try:
        outputs = Work(ArchiverSettings(), LakeSettings()).run(Trigger.model_validate_json(sys.argv[1]))
        result = Result(outputs=outputs, samples=metrics.CARRIED.samples())
    except (ServiceAway, LakeAway) as away:
        result = Result(away=str(away), samples=metrics.CARRIED.samples())
    sys.stdout.write(result.model_dump_json())
    sys.stdout.flush()
    # Threads of the libraries may call into the interpreter while it is taken down, which aborts the process.
    os._exit(0)


if __name__ == "__main__":
    main()
