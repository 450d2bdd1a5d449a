"""Metrics and health of the producer over HTTP, where a host wants them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


async def _healthy(_request: web.Request) -> web.Response:
    # Alive is ready: the producer goes on without broker and scorer, and counts what it misses.
    return web.json_response({"status": "ok"})


@asynccontextmanager
async def served(port: int) -> AsyncIterator[int]:
    """Serve `/metrics`, `/health/liveness` and `/health/readiness` inside the block; yields the port.

    Args:
        port: Port on all IPv4 interfaces; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", _metrics),
            web.get("/health/liveness", _healthy),
            web.get("/health/readiness", _healthy),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "0.0.0.0", port)  # noqa: S104 - a host outside the container asks
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
