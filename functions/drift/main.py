"""Entry points of the drift function on every host."""

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.drift.composition import compose
from shared.telemetry import logs

logs.configure("drift")
_drift = compose()


@functions_framework.aio.http
async def drift(request: Request) -> Response:
    """Take one tick of the schedule (functions-framework: Knative, containers, the local emulator)."""
    return await _drift.endpoint(request)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take one invocation of the schedule (AWS Lambda)."""
    return _drift.invoke(event)
