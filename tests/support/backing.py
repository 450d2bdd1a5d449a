"""Embedded backing services for tests: on free ports, whatever the environment says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from shared.backing.backing import Backing, ServiceStatus
from shared.backing.ports import free_ports, is_free
from shared.backing.settings import BackingSettings

EXTERNAL_ADDRESSES = ("kafka_bootstrap_servers", "redis_url", "aws_endpoint_url", "mlflow_tracking_uri")


def backing_settings(home: Path, **changes: Any) -> BackingSettings:
    """Settings of embedded services on free ports under `home`."""
    redis, s3, mlflow = free_ports(3)
    ports = {"kafka_port": _free_pair(), "redis_port": redis, "s3_port": s3, "mlflow_port": mlflow}
    embedded = dict.fromkeys(EXTERNAL_ADDRESSES)
    return BackingSettings(**({"home": home, **ports, **embedded} | changes))


def _free_pair() -> int:
    """A free port whose successor is free too: the broker's, then its controller's."""
    while True:
        for port in free_ports(8):
            if port < 65535 and is_free(port + 1):
                return port


def status_of(backing: Backing, name: str) -> ServiceStatus:
    """The status of one service."""
    return next(status for status in backing.status() if status.name == name)


async def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        await asyncio.sleep(0.02)


class SessionBacking:
    """Services that outlive a test, on an event loop of their own; each is started when first asked for."""

    def __init__(self, home: Path) -> None:
        self._settings = backing_settings(home)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backing", daemon=True)
        self._thread.start()
        self._started: dict[str, Backing] = {}

    def environment(self, name: str) -> Mapping[str, str]:
        """Start the service unless it runs, and return the variables by which a client finds it."""
        if name not in self._started:
            backing = Backing(self._settings, only=frozenset({name}))
            self._run(backing.start())
            self._started[name] = backing
        return self._started[name].environment

    def stop(self) -> None:
        for backing in self._started.values():
            self._run(backing.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()
