"""A backing service that somebody else runs: addressed and probed, never started or stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final


class ExternalService:
    """A service known by its address alone."""

    external: Final = True
    pid: Final = None

    def __init__(
        self, name: str, address: str, environment: Mapping[str, str], probe: Callable[[], Awaitable[None]]
    ) -> None:
        self.name = name
        self.address = address
        self.environment = environment
        self._probe = probe

    async def start(self) -> None:
        """Do nothing: it is somebody else's."""

    async def probe(self) -> None:
        """Try the service as a client would; raises `NotReady`."""
        await self._probe()

    async def wait_exit(self) -> str:
        """Never return: its end is not ours to see."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def stop(self) -> None:
        """Do nothing: it is somebody else's."""

    def log_tail(self, lines: int = 15) -> list[str]:  # noqa: ARG002 - the protocol's signature
        """Return nothing: its log is not ours."""
        return []
