"""Round trips to Redis: many calls of scripts sent at once, their replies in the order sent.

redis-py's pipelines spend more on one call than the server does, so on a single node the packed commands of all calls
go through one of the pool's connections directly; the pool, TLS, authentication and reconnection stay redis-py's. On a
cluster its pipeline is used, which knows where each slot lives.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

_EVALSHA = b"*%d\r\n$7\r\nEVALSHA\r\n"
_BULK_STRING = b"$%d\r\n%b\r\n"

Command = tuple[bytes, ...]
"""Digest of the script, number of keys, keys and arguments of one call."""


class LuaScript:
    """A script that calls name by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest().encode()


class Link(Protocol):
    """A way to call scripts many times in one round trip."""

    async def call(self, calls: Sequence[Command]) -> list[Any]:
        """Reply of each call, in order; an error of a single call stands in its place.

        Raises:
            redis.exceptions.RedisError: The round trip failed; some calls may have been carried out.
        """

    async def aclose(self) -> None:
        """Give back what is held."""


def link(redis: Redis | RedisCluster, scripts: Sequence[LuaScript]) -> Link:
    """The way to call scripts on a node or a cluster."""
    return ClusterLink(redis, scripts) if isinstance(redis, RedisCluster) else NodeLink(redis, scripts)


class NodeLink:
    """Calls on a single node.

    A call repeated is answered the same, so what failed for want of the script, or because the server had closed an
    idle connection, is sent once more.
    """

    def __init__(self, redis: Redis, scripts: Sequence[LuaScript]) -> None:
        self._pool = redis.connection_pool
        self._scripts = scripts
        self._idle: list[AbstractConnection] = []

    async def call(self, calls: Sequence[Command]) -> list[Any]:
        """See `Link.call`."""
        connection = self._idle.pop() if self._idle else await self._connection()
        try:
            try:
                replies = await self._exchange(connection, calls)
            except RedisConnectionError:
                replies = await self._exchange(connection, calls)
            missed = [k for k, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if missed:
                await self._load(connection)
                for k, reply in zip(missed, await self._exchange(connection, [calls[k] for k in missed]), strict=True):
                    replies[k] = reply
        except BaseException:
            # Replies may still be under way: the connection must not be used again as it is.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._idle.append(connection)
        return replies

    async def _connection(self) -> AbstractConnection:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _exchange(self, connection: AbstractConnection, calls: Sequence[Command]) -> list[Any]:
        await connection.send_packed_command(b"".join([_packed(call) for call in calls]), check_health=False)
        return await self._replies(connection, len(calls))

    async def _replies(self, connection: AbstractConnection, number: int) -> list[Any]:
        replies: list[Any] = []
        for _ in range(number):
            try:
                # The deadline is the caller's: it cancels.
                replies.append(await connection.read_response(disable_decoding=True, timeout=math.inf))
            except RedisConnectionError:
                raise
            except RedisError as error:
                replies.append(error)
        return replies

    async def _load(self, connection: AbstractConnection) -> None:
        for script in self._scripts:
            await connection.send_command("SCRIPT", "LOAD", script.source)
            await connection.read_response(timeout=math.inf)

    async def aclose(self) -> None:
        """See `Link.aclose`."""
        while self._idle:
            await self._pool.release(self._idle.pop())


def _packed(call: Command) -> bytes:
    """An EVALSHA in the Redis serialization protocol: an array of bulk strings.

    By hand, because the client's own packing of one call takes 12 us and this 2.
    """
    pieces: list[int | bytes] = [len(call) + 1]
    for argument in call:
        pieces += (len(argument), argument)
    return (_EVALSHA + _BULK_STRING * len(call)) % tuple(pieces)


class ClusterLink:
    """Calls on a cluster, by redis-py's pipeline: it splits by node, follows moved slots and retries."""

    def __init__(self, redis: RedisCluster, scripts: Sequence[LuaScript]) -> None:
        if redis.get_encoder().decode_responses:
            raise ValueError("features need a cluster client with decode_responses=False")
        self._redis = redis
        self._scripts = scripts

    async def call(self, calls: Sequence[Command]) -> list[Any]:
        """See `Link.call`."""
        replies = await self._exchange(calls)
        missed = [k for k, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missed:
            for script in self._scripts:
                await self._redis.script_load(script.source)
            for k, reply in zip(missed, await self._exchange([calls[k] for k in missed]), strict=True):
                replies[k] = reply
        return replies

    async def _exchange(self, calls: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for digest, keys, *arguments in calls:
            pipeline.execute_command("EVALSHA", digest, int(keys), *arguments)
        return await pipeline.execute(raise_on_error=False)

    async def aclose(self) -> None:
        """Nothing is held."""
