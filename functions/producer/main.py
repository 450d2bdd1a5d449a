"""Entry point of the producer as a program: `python -m functions.producer --rate 10`, in containers and on its own."""

import asyncio
import sys

import orjson
from pydantic import ValidationError

from functions.producer import terminal
from functions.producer.composition import produce
from functions.producer.settings import ProgramSettings
from functions.producer.timetable import OvertakesClock
from shared.telemetry import logs


def main(arguments: list[str] | None = None) -> int:
    """Run a producer until it ends or is stopped; returns the exit status."""
    logs.configure("producer")
    try:
        settings = ProgramSettings.from_arguments(sys.argv[1:] if arguments is None else arguments)
        line = terminal.ProgressLine() if sys.stderr.isatty() else None
        document = asyncio.run(produce(settings, progress=line))
    except ValidationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (OvertakesClock, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if line is not None:
        line.end()
    text = orjson.dumps(document).decode() if settings.json_output else terminal.summary(document)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
