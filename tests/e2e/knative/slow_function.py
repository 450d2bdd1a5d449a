"""A function that takes as long as it is asked to and says which replica it is."""

import asyncio
import os

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


@functions_framework.aio.http
async def slow(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params.get("seconds", "0")))
    return PlainTextResponse(os.environ["HOSTNAME"])
