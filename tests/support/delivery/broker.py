"""`python -m tests.support.delivery.broker HOME PORT`: the project's embedded broker, supervised, until SIGTERM."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from shared.backing.backing import Backing
from shared.backing.settings import BackingSettings


async def run(home: Path, port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = BackingSettings(home=home, kafka_port=port, kafka_bootstrap_servers=None)
    async with Backing(settings, only=frozenset({"kafka"})):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
    # A Kafka client whose broker is gone may wait for it for ever when the interpreter takes it down.
    os._exit(0)
