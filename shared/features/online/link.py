"""Round trips to Redis: many calls of scripts sent at once, their replies in the order sent.

redis-py's pipelines spend more on one call than the server does, so on a single node the packed commands of all calls
go through one of the pool's connections directly; the pool, TLS, authentication and reconnection stay redis-py's. On a
cluster its pipeline is used, which knows where each slot lives.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

_EVALSHA = b"*%d\r\n$7\r\nEVALSHA\r\n"
_BULK_STRING = b"$%d\r\n%b\r\n"
_SETTLE_AFTER_SECONDS: Final = 0.05
_SETTLE_WITHIN_SECONDS: Final = 2.0

Command = tuple[bytes, ...]
"""Digest of the script, number of keys, keys and arguments of one call."""
Missed = Callable[[Exception], None]
"""Told why some of the calls failed, or may have."""


class LuaScript:
    """A script that calls name by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest().encode()


class Link(Protocol):
    """A way to call scripts many times in one round trip.

    Attributes:
        any_keys: Whether the keys of one call may lie in different slots.
    """

    any_keys: bool

    async def call(self, calls: Sequence[Command]) -> list[Any]:
        """Reply of each call, in order; an error of a single call stands in its place.

        Raises:
            redis.exceptions.RedisError: The round trip failed; some calls may have been carried out.
        """

    async def tell(self, calls: Sequence[Command], missed: Missed) -> None:
        """Hand calls to the network without waiting for their replies; a later call of this link finds them done.

        Args:
            calls: Calls that may be repeated.
            missed: Called, now or later, when one of them failed or its reply never came.
        """

    async def aclose(self) -> None:
        """Wait for what was told and give back what is held."""


def link(redis: Redis | RedisCluster, scripts: Sequence[LuaScript]) -> Link:
    """The way to call scripts on a node or a cluster."""
    return ClusterLink(redis, scripts) if isinstance(redis, RedisCluster) else NodeLink(redis, scripts)


class NodeLink:
    """Calls on a single node.

    A call repeated is answered the same, so what failed for want of the script, or because the server had closed an
    idle connection, is sent once more.

    What is told is in the kernel when `tell` returns, so it survives this process. Its replies are read with the next
    exchange of the same connection, or after a moment without one.
    """

    any_keys = True

    def __init__(self, redis: Redis, scripts: Sequence[LuaScript]) -> None:
        self._pool = redis.connection_pool
        self._scripts = scripts
        self._idle: list[AbstractConnection] = []
        self._told: dict[AbstractConnection, list[tuple[int, Missed]]] = {}
        self._settling: asyncio.Task[None] | None = None

    async def call(self, calls: Sequence[Command]) -> list[Any]:
        """See `Link.call`."""
        connection = self._idle.pop() if self._idle else await self._connection()
        try:
            try:
                replies = await self._exchange(connection, calls)
            except RedisConnectionError as error:
                self._give_up(connection, error)
                replies = await self._exchange(connection, calls)
            missed = [k for k, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if missed:
                await self._load(connection)
                for k, reply in zip(missed, await self._exchange(connection, [calls[k] for k in missed]), strict=True):
                    replies[k] = reply
        except BaseException as error:
            await self._drop(connection, error)
            raise
        self._idle.append(connection)
        return replies

    async def tell(self, calls: Sequence[Command], missed: Missed) -> None:
        """See `Link.tell`."""
        connection = self._idle.pop() if self._idle else await self._connection()
        self._told.setdefault(connection, []).append((len(calls), missed))
        try:
            await self._send(connection, calls)
        except (RedisError, OSError) as error:
            await self._drop(connection, error)
            return
        except BaseException as error:
            await self._drop(connection, error)
            raise
        self._idle.append(connection)
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle())

    async def _connection(self) -> AbstractConnection:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _send(self, connection: AbstractConnection, calls: Sequence[Command]) -> None:
        await connection.send_packed_command(b"".join([_packed(call) for call in calls]), check_health=False)

    async def _exchange(self, connection: AbstractConnection, calls: Sequence[Command]) -> list[Any]:
        await self._send(connection, calls)
        if connection in self._told:
            await self._read_told(connection)
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

    async def _read_told(self, connection: AbstractConnection) -> None:
        """Read the replies of what was told; what failed is reported."""
        told = self._told[connection]
        while told:
            number, missed = told[0]
            replies = await self._replies(connection, number)
            told.pop(0)
            _report(replies, missed)
        del self._told[connection]

    async def _settle(self) -> None:
        """Read the replies that no exchange has read, until there are none."""
        try:
            while self._told:
                waiting = list(self._told.items())
                await asyncio.sleep(_SETTLE_AFTER_SECONDS)
                for connection, told in waiting:
                    # What an exchange has read, or is about to, is not waited for here.
                    if self._told.get(connection) is told and connection in self._idle:
                        await self._settle_one(connection)
        finally:
            self._settling = None

    async def _settle_one(self, connection: AbstractConnection) -> None:
        self._idle.remove(connection)
        try:
            async with asyncio.timeout(_SETTLE_WITHIN_SECONDS):
                await self._read_told(connection)
        except (RedisError, OSError) as error:
            await self._drop(connection, error)
        else:
            self._idle.append(connection)

    async def _load(self, connection: AbstractConnection) -> None:
        for script in self._scripts:
            await connection.send_command("SCRIPT", "LOAD", script.source)
            await connection.read_response(timeout=math.inf)

    def _give_up(self, connection: AbstractConnection, error: BaseException) -> None:
        """Report what was told on a connection whose replies will not be read."""
        why = error if isinstance(error, Exception) else RedisConnectionError("given up before the reply came")
        for _, missed in self._told.pop(connection, []):
            missed(why)

    async def _drop(self, connection: AbstractConnection, error: BaseException) -> None:
        # Replies may still be under way: the connection must not be used again as it is.
        self._give_up(connection, error)
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)

    async def aclose(self) -> None:
        """See `Link.aclose`."""
        if self._settling is not None:
            await self._settling
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


def _report(replies: Sequence[Any], missed: Missed) -> None:
    """Report the first error among replies, if there is one."""
    error = next((reply for reply in replies if isinstance(reply, RedisError)), None)
    if error is not None:
        missed(error)


class ClusterLink:
    """Calls on a cluster, by redis-py's pipeline: it splits by node, follows moved slots and retries.

    What is told is waited for: a pipeline does not come apart into sending and reading.
    """

    any_keys = False

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

    async def tell(self, calls: Sequence[Command], missed: Missed) -> None:
        """See `Link.tell`."""
        try:
            replies = await self.call(calls)
        except (RedisError, OSError) as error:
            missed(error)
            return
        _report(replies, missed)

    async def _exchange(self, calls: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for digest, keys, *arguments in calls:
            pipeline.execute_command("EVALSHA", digest, int(keys), *arguments)
        return await pipeline.execute(raise_on_error=False)

    async def aclose(self) -> None:
        """Nothing is held."""
