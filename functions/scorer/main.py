"""Entry points of the scorer on every host."""

from typing import Any

import functions_framework.aio
from mangum import Mangum
from starlette.requests import Request

from functions.scorer.composition import compose
from functions.scorer.front_door import FrontDoor
from shared.contracts import problems
from shared.hosts.direct import serves
from shared.registry.errors import ModelUnavailable
from shared.telemetry import logs

_FLUSH_SECONDS = 2.0
_MODEL_SECONDS = 5.0

logs.configure("scorer")
_scorer = compose()
# Other types would leave in base64, which API Gateway's REST APIs hand on as it is.
_lambda = Mangum(_scorer.app, lifespan="off", text_mime_types=["text/", "application/json", problems.MEDIA_TYPE])


@functions_framework.aio.http  # type: ignore[arg-type]  # any ASGI application serves as the response
@serves(_scorer.app)
async def scorer(_request: Request) -> FrontDoor:
    """Answer an HTTP request (functions-framework: Knative, containers, the local emulator)."""
    return _scorer.app


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API Gateway, ALB or function URL event (AWS Lambda)."""
    response: dict[str, Any] = _lambda(event, context)
    if response["statusCode"] == 503 and _model_came():
        response = _lambda(event, context)
    # The process may be frozen as soon as the answer is out.
    _scorer.publisher.drain(_FLUSH_SECONDS)
    return response


def _model_came() -> bool:
    """Wait for the first model of a cold start; elsewhere the host asks for readiness first, Lambda does not."""
    try:
        _scorer.models.wait(_MODEL_SECONDS)
    except ModelUnavailable:
        return False
    return True
