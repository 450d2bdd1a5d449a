"""Entry points of the promote function on every host."""

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.promote.composition import compose
from shared.telemetry import logs

logs.configure("promote")
_promote = compose()


@functions_framework.aio.http
async def promote(request: Request) -> Response:
    """Take one tick of the schedule (functions-framework: Knative, containers, the local emulator)."""
    return await _promote.endpoint(request)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take one invocation of the schedule (AWS Lambda)."""
    return _promote.invoke(event)
