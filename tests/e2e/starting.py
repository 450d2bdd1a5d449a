"""A whole system of its own for a test: its ports, its environment, its commands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

_PORTS: Final = (
    "FRAUD_API_PORT",
    "FRAUD_FUNCTIONS_PORT",
    "FRAUD_ADMIN_PORT",
    "FRAUD_KAFKA_PORT",
    "FRAUD_REDIS_PORT",
    "FRAUD_S3_PORT",
    "FRAUD_MLFLOW_PORT",
)
_FOREIGN: Final = ("AWS_", "FRAUD_HOME", "KAFKA_", "MLFLOW_", "REDIS_")
FRAUD: Final = (sys.executable, "-c", "from shared.cli.main import main; main()")
"""The command line, as a process."""


def own_environment(home: Path) -> dict[str, str]:
    """The environment of a system that shares nothing.

    An address in the environment would stand for a service of somebody else's; other tests leave some there.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return inherited | _free_ports() | {"FRAUD_HOME": str(home)}


def _free_ports() -> dict[str, str]:
    """A port for each variable with room behind it: Kafka and the functions take the following ones too."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        base = 20_000 + opened.getsockname()[1] % 9_000
    return {name: str(base + 20 * number) for number, name in enumerate(_PORTS)}


def fraud(environment: dict[str, str], *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line."""
    return subprocess.run(
        [*FRAUD, *arguments], env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
