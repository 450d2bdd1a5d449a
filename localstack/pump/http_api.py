"""API Gateway's HTTP API: requests as events of payload format 2.0, and results as responses.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

_DOMAIN = "local.execute-api.us-east-1.amazonaws.com"


class Response(NamedTuple):
    """What the caller of the API gets."""

    status: int
    headers: dict[str, str]
    body: bytes


def event(method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The event of a request.

    Args:
        method: Of HTTP.
        target: Path with query.
        headers: Of the request; their names are in lower case in the event.
        body: Text stays text; what is not UTF-8 is carried in base64.
    """
    path, _, query = target.partition("?")
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    now = time.time()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": _DOMAIN, **{name.lower(): value for name, value in headers.items()}},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": _DOMAIN,
            "domainPrefix": "local",
            "requestId": str(uuid.uuid4()),
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1e3),
            "routeKey": "$default",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "pump",
            },
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def response(result: Mapping[str, Any]) -> Response:
    """The response that a handler's result stands for."""
    body: str = result.get("body") or ""
    data = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return Response(int(result["statusCode"]), {k.lower(): str(v) for k, v in result.get("headers", {}).items()}, data)
