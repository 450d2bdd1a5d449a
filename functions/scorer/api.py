"""The scorer's HTTP interface as FastAPI declares it: routes, documents, examples.

The busiest routes are answered by `functions.scorer.front_door` before they get here; both call the same handler.
"""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from functions.scorer.handler import Reply, ScoreHandler, problem_reply
from functions.scorer.health import Health
from functions.scorer.requests import MAX_BATCH
from shared.contracts import problems
from shared.contracts.decision import Decision, DecisionDetails
from shared.contracts.problems import Problem
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Catalogue

_DESCRIPTION = """Decides card transactions in real time: `approve`, `review` or `decline`, with a calibrated score,
the reasons and the model version. Errors are RFC 9457 problem documents that name the field."""

_PROBLEMS = {
    400: "The request ended early.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field is wrong; the problem names it.",
    503: "Overloaded, or no model yet; `Retry-After` says when to try again.",
}


_SCHEMAS = "#/components/schemas/{model}"
_DETAILS = {
    "name": "details",
    "in": "query",
    "required": False,
    "description": "Answer with the feature vector and the time spent per stage too.",
    "schema": {"type": "boolean", "default": False},
}


class ScoreBatch(BaseModel):
    """Several transactions, decided in their order."""

    transactions: list[Transaction] = Field(min_length=1, max_length=MAX_BATCH)


class BatchDecisions(BaseModel):
    """The decisions, in the order of the transactions."""

    decisions: list[Decision | DecisionDetails]


class Status(BaseModel):
    """State of the function."""

    status: str


def build_api(handler: ScoreHandler, health: Health, catalogue: Catalogue) -> FastAPI:
    """Declare the interface."""
    api = FastAPI(
        title="Card-fraud scorer",
        description=_DESCRIPTION,
        version="1",
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    _add_scoring(api, handler)
    _add_operations(api, health)

    @api.exception_handler(HTTPException)
    async def http_problem(_request: Request, error: HTTPException) -> Response:
        reply = problem_reply(problems.problem(error.status_code, str(error.detail)))
        return _response(reply, dict(error.headers or {}))

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
            _add_models(schema, Transaction, Problem)
            _describe_features(schema, catalogue)
            api.openapi_schema = schema
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return api


def _add_scoring(api: FastAPI, handler: ScoreHandler) -> None:
    errors: dict[int | str, dict[str, Any]] = {status: _problem_response(text) for status, text in _PROBLEMS.items()}

    @api.post(
        "/v1/score",
        summary="Decide one transaction",
        tags=["decisions"],
        response_model=Decision | DecisionDetails,
        responses=errors,
        openapi_extra=_request(Transaction, _transaction_example()),
    )
    async def score(request: Request) -> Response:
        return _response(await handler.score(request.headers.raw, _query(request), request.receive))

    @api.post(
        "/v1/score/batch",
        summary="Decide up to 1,000 transactions",
        tags=["decisions"],
        response_model=BatchDecisions,
        responses=errors,
        openapi_extra=_request(ScoreBatch, {"transactions": [_transaction_example()]}),
    )
    async def score_batch(request: Request) -> Response:
        return _response(await handler.score_batch(request.headers.raw, _query(request), request.receive))


def _add_operations(api: FastAPI, health: Health) -> None:
    @api.get("/health/liveness", summary="Is the process alive", tags=["operations"], response_model=Status)
    async def liveness() -> Response:
        return _response(health.liveness())

    @api.get(
        "/health/readiness",
        summary="Can it answer",
        tags=["operations"],
        response_model=Status,
        responses={503: _problem_response("No model yet.")},
    )
    async def readiness() -> Response:
        return _response(health.readiness())

    @api.get(
        "/metrics",
        summary="Prometheus metrics",
        tags=["operations"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."}},
    )
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _transaction_example() -> dict[str, Any]:
    schema = Transaction.model_json_schema()
    example: dict[str, Any] = schema["examples"][0]
    return example


def _request(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Declare what the handler reads itself: the body and the query."""
    schema = model.model_json_schema(ref_template=_SCHEMAS)
    schema.pop("$defs", None)
    return {
        "parameters": [_DETAILS],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
    }


def _problem_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}},
    }


def _add_models(schema: dict[str, Any], *models: type[BaseModel]) -> None:
    """Define the models that the routes refer to by name only."""
    components = schema["components"]["schemas"]
    for model in models:
        definition = model.model_json_schema(ref_template=_SCHEMAS)
        components |= definition.pop("$defs", {})
        components[model.__name__] = definition


def _describe_features(schema: dict[str, Any], catalogue: Catalogue) -> None:
    """Say in the response schema what each feature of ``?details=true`` means."""
    components = schema["components"]["schemas"]
    components["DecisionDetails"]["properties"]["features"] |= {
        "properties": {
            feature.name: {
                "type": ["number", "null"],
                "description": f"{feature.meaning} Unit: {feature.unit}. "
                + (f"Null when {feature.null_when}." if feature.null_when else "Never null."),
            }
            for feature in catalogue
        }
    }


def _query(request: Request) -> bytes:
    query: bytes = request.scope.get("query_string", b"")
    return query


def _response(reply: Reply, headers: dict[str, str] | None = None) -> Response:
    response = Response(reply.body, reply.status, headers)
    response.raw_headers.extend((name, value) for name, value in reply.headers if name != b"content-length")
    return response
