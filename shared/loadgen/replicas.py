"""Replicas of a service over time, asked of the emulator's admin interface."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from shared.loadgen.connection import Connection, Target
from shared.loadgen.requests import fixed_request

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class ServiceState:
    """How far a service is scaled.

    Attributes:
        replicas: Replicas that take requests: ready and not draining.
        min_scale: How many it always keeps; None when the interface does not tell.
    """

    replicas: int
    min_scale: int | None


class ReplicaWatch:
    """Asks `<admin>/status` for the replicas of a service, over the load generator's own thin connection."""

    def __init__(self, admin_url: str, service: str) -> None:
        """Prepare; nothing is asked yet.

        Args:
            admin_url: Base address of the admin interface.
            service: Name of the service.
        """
        self._target = Target.parse(admin_url.rstrip("/") + "/status")
        self._request = fixed_request(self._target)()
        self._service = service

    async def state(self) -> ServiceState | None:
        """Return the service's state, None when the interface can not be reached or knows no such service."""
        document = await self._ask()
        try:
            service = document["services"][self._service]
            serving = [one for one in service["replicas"] if one["ready"] and not one["draining"]]
            return ServiceState(replicas=len(serving), min_scale=service.get("min_scale"))
        except (KeyError, TypeError):
            return None

    async def _ask(self) -> Any:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.create_future())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(waiter), self._target.host, self._target.port, ssl=self._target.tls or None
                )
                try:
                    connection.send(self._request, 0, 0)
                    return orjson.loads(await waiter.body)
                finally:
                    connection.abort()
        except (OSError, TimeoutError, orjson.JSONDecodeError):
            return None


class _Waiter:
    """Owner of the one connection of a question."""

    def __init__(self, body: asyncio.Future[bytes]) -> None:
        self.body = body

    def answered(self, connection: Connection) -> None:
        if not self.body.done():
            self.body.set_result(connection.body)

    def lost(self, connection: Connection) -> None:  # noqa: ARG002 - the owner's signature
        if not self.body.done():
            self.body.set_exception(ConnectionError("closed before the answer"))
