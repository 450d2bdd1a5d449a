"""A function for the emulator's tests: says who answered, takes as long as it is told, keeps count."""

import asyncio
import os
import sys
import time

import functions_framework.aio
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ANSWERED = Counter("tiny_answered", "Requests answered.", ["path"])
STARTED = Gauge("tiny_started_seconds", "Time of the start.")
STARTED.set(time.time())

if os.environ.get("TINY_FAILS"):
    raise RuntimeError(os.environ["TINY_FAILS"])
time.sleep(float(os.environ.get("TINY_LOAD_SECONDS", "0")))


@functions_framework.aio.http
async def tiny(request: Request) -> Response:
    path = request.url.path
    if path == "/metrics":
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
    if path.startswith("/health/"):
        return Response()
    if path == "/say":
        sys.stderr.write(request.query_params["what"] + "\n")
    if path == "/environment":
        return JSONResponse(dict(os.environ) | {"nice": os.nice(0)})
    await asyncio.sleep(float(request.query_params.get("seconds", "0")))
    body = await request.body()
    ANSWERED.labels(path).inc()
    return JSONResponse({"pid": os.getpid(), "bytes": len(body)})
