"""Prepares backing services that somebody else runs: waits until each answers, makes missing topics and buckets.

`python -m shared.backing`, with the addresses in the environment as every function has them.
"""

from __future__ import annotations

import asyncio
import sys

from shared.backing.backing import Backing
from shared.backing.service import ServiceFailed
from shared.backing.settings import BackingSettings


async def _prepare(settings: BackingSettings) -> None:
    async with Backing(settings) as backing:
        for status in backing.status():
            sys.stdout.write(f"{status.name} at {status.address} is ready\n")


def main() -> int:
    """Prepare all four; the exit status is 1 when one is not named or does not become ready."""
    settings = BackingSettings()
    addresses = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "REDIS_URL": settings.redis_url,
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
    }
    if missing := [name for name, address in addresses.items() if address is None]:
        sys.stderr.write(f"the environment does not name {', '.join(missing)}\n")
        return 1
    try:
        asyncio.run(_prepare(settings))
    except ServiceFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
