"""The Redis client that the online engine wants."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECT_SECONDS = 1.0


def connect(url: str) -> Redis:
    """Return a client for one node; it connects on first use.

    It never retries by itself: with a server that is away a caller wants to know at once, and decides without it. Nor
    does it limit the time of a round trip: its callers do, and a limit of its own would cost a task for each.
    """
    return Redis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=None
    )
