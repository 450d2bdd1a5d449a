"""Entry points of the train function on every host."""

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.train.composition import compose
from shared.telemetry import logs

logs.configure("train")
_train = compose()


@functions_framework.aio.http
async def train(request: Request) -> Response:
    """Take one delivered event (functions-framework: Knative, containers, the local emulator)."""
    return await _train.endpoint(request)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take a schedule's input or a batch of drift events (AWS Lambda)."""
    return _train.invoke(event)
