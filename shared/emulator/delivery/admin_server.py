"""What the dispatcher tells over HTTP: `/status`, `/metrics` and the health endpoints."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


async def serve_admin(
    host: str, port: int, status: Callable[[], dict[str, Any]], registry: CollectorRegistry
) -> web.AppRunner:
    """Serve until the returned runner is cleaned up.

    `/health/readiness` answers 503 until every KafkaSource has joined its group.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        status: Returns the document of `/status`; its `ready` decides the readiness.
        registry: Metrics.

    Raises:
        OSError: The port is taken.
    """

    async def answer_status(_request: web.Request) -> web.Response:
        return web.json_response(status())

    async def answer_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def answer_liveness(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def answer_readiness(_request: web.Request) -> web.Response:
        ready = bool(status()["ready"])
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    app = web.Application()
    app.add_routes(
        [
            web.get("/status", answer_status),
            web.get("/metrics", answer_metrics),
            web.get("/health/liveness", answer_liveness),
            web.get("/health/readiness", answer_readiness),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
