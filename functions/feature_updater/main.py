"""Entry points of the feature updater on every host."""

from typing import Any

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.feature_updater.composition import compose
from shared.hosts.direct import serves
from shared.telemetry import logs

logs.configure("feature-updater")
_updater = compose()


@functions_framework.aio.http
@serves(_updater.endpoint.asgi)
async def feature_updater(request: Request) -> Response:
    """Take one delivered event (functions-framework: Knative, containers, the local emulator)."""
    return await _updater.endpoint(request)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take a batch of Kafka records (AWS Lambda)."""
    return _updater.kafka_trigger(event)
