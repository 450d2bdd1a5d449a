"""The Redis client that the online engine wants."""

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECT_SECONDS = 1.0
_CLUSTER = "+cluster://"


def connect(url: str) -> Redis | RedisCluster:
    """Return a client for one node, or for a cluster by the address of one of its nodes; it connects on first use.

    A cluster is told by its scheme: `redis+cluster://` or, with TLS, `rediss+cluster://`. Its client follows moved
    slots and failovers, and retries for that.

    The client of one node never retries by itself: with a server that is away a caller wants to know at once, and
    decides without it. Nor does it limit the time of a round trip: its callers do, and a limit of its own would cost a
    task for each.
    """
    if _CLUSTER in url:
        return RedisCluster.from_url(
            url.replace(_CLUSTER, "://", 1), socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=None
        )
    return Redis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=None
    )
