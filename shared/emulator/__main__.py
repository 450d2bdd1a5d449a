"""Runs the emulator alone in the foreground: `python -m shared.emulator --manifests knative/base --home .fraud`.

Addresses of backing services are taken from this process' environment (`--pass NAME`) or given (`--set NAME=VALUE`).
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from shared.backing.ports import PortTaken
from shared.emulator.emulator import ADMIN_PORT, Emulator
from shared.emulator.manifests import ManifestError


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shared.emulator", description=__doc__)
    parser.add_argument("--manifests", type=Path, required=True, help="folder of manifests")
    parser.add_argument("--home", type=Path, required=True, help="state folder")
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="folder that FUNCTION_SOURCE is relative to")
    parser.add_argument("--port", type=_pair, action="append", default=[], metavar="SERVICE=PORT")
    parser.add_argument("--admin-port", type=int, default=ADMIN_PORT)
    parser.add_argument("--set", type=_pair, action="append", default=[], metavar="NAME=VALUE", dest="values")
    parser.add_argument("--pass", action="append", default=[], metavar="NAME", dest="passed")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    passed = {name: os.environ[name] for name in arguments.passed if name in os.environ}
    emulator = Emulator(
        arguments.manifests,
        environment=passed | dict(arguments.values),
        home=arguments.home,
        ports={name: int(port) for name, port in arguments.port},
        admin_port=arguments.admin_port,
        project=arguments.project,
    )
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    await emulator.start()
    for name, url in emulator.urls.items():
        sys.stdout.write(f"{name} {url}\n")
    sys.stdout.flush()
    await ending.wait()
    await emulator.stop()


def main() -> int:
    """Run until SIGINT or SIGTERM; 1 when a manifest or a port refuses."""
    try:
        asyncio.run(_run(_arguments()))
    except (ManifestError, PortTaken, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
