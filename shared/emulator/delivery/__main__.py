"""The dispatcher as a process: `python -m shared.emulator.delivery --help`."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop

from shared.emulator.delivery.dispatcher import Dispatcher
from shared.emulator.delivery.plan import (
    REQUESTS_PER_CONSUMER,
    bootstrap_override,
    plan_kafka_source,
    plan_ping_source,
)
from shared.emulator.manifests import ManifestError, load_manifests
from shared.telemetry import logs

_log = logging.getLogger("shared.emulator.delivery")


def _arguments(command_line: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shared.emulator.delivery",
        description="Deliver the events of all KafkaSources and PingSources of a manifest folder.",
    )
    parser.add_argument("--manifests", type=Path, required=True, help="folder of manifests")
    parser.add_argument("--targets", type=Path, required=True, help="JSON file, service name -> base URL, read again")
    parser.add_argument("--home", type=Path, required=True, help="folder for what survives a restart")
    parser.add_argument("--port", type=int, required=True, help="port of /status, /metrics and /health")
    parser.add_argument("--host", default="127.0.0.1", help="address of that port (%(default)s)")
    parser.add_argument(
        "--bootstrap-servers", help="broker instead of the manifests' (default: KAFKA_BOOTSTRAP_SERVERS, if set)"
    )
    parser.add_argument(
        "--requests-per-consumer",
        type=int,
        default=REQUESTS_PER_CONSUMER,
        help="requests in flight per consumer of a source (%(default)s)",
    )
    parser.add_argument(
        "--kafka-only", action="store_true", help="leave the PingSources to somebody else, such as a cluster's own"
    )
    parser.add_argument(
        "--grace", type=float, default=10.0, help="seconds for requests in flight at SIGTERM (%(default)s)"
    )
    return parser.parse_args(command_line)


async def _run(arguments: argparse.Namespace) -> None:
    manifests = load_manifests(arguments.manifests)
    bootstrap_servers = bootstrap_override(arguments.bootstrap_servers)
    dispatcher = Dispatcher(
        [
            plan_kafka_source(source, manifests, bootstrap_servers, arguments.requests_per_consumer)
            for source in manifests.kafka_sources.values()
        ],
        [] if arguments.kafka_only else [plan_ping_source(source) for source in manifests.ping_sources.values()],
        arguments.targets,
        arguments.home,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await dispatcher.run(arguments.host, arguments.port, stop, arguments.grace)
    _log.info("stopped")


def main(command_line: list[str] | None = None) -> int:
    """Run until SIGTERM; the exit status is 0, or 1 with the reason on standard error."""
    arguments = _arguments(command_line)
    logs.configure("delivery")
    try:
        uvloop.run(_run(arguments))
    except (ManifestError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
