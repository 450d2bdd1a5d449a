"""Entry points of the shadow scorer on every host."""

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.shadow_scorer.composition import compose
from shared.hosts.direct import serves
from shared.telemetry import logs

logs.configure("shadow-scorer")
_shadow = compose()


@functions_framework.aio.http
@serves(_shadow.endpoint.asgi)
async def shadow_scorer(request: Request) -> Response:
    """Take one delivered event (functions-framework: Knative, containers, the local emulator)."""
    return await _shadow.endpoint(request)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take a batch of Kafka records (AWS Lambda)."""
    return _shadow.kafka_trigger(event)
