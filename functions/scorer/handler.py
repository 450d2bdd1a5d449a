"""One request from its body to its answer: what every host of the scorer calls."""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from functions.scorer import metrics
from functions.scorer.decider import Answer, ScoreRequest
from functions.scorer.requests import (
    MAX_BATCH_BODY_BYTES,
    MAX_BODY_BYTES,
    Receive,
    Refused,
    find_header,
    read_batch,
    read_body,
    read_transaction,
    require_json,
    wants_details,
)
from shared.batching import Batcher, Overloaded
from shared.contracts import problems
from shared.contracts.problems import Problem
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Settings
from shared.registry.errors import ModelUnavailable
from shared.telemetry.tracing import Trace, continue_trace

_JSON = b"application/json"
_RETRY_AFTER = (b"retry-after", b"1")
_REFUSALS = (Refused, Overloaded, ModelUnavailable)

Headers = Iterable[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class ScoreHandler:
    """Answers ``POST /v1/score`` and ``POST /v1/score/batch``.

    Args:
        batcher: Decides transactions together with those of other requests.
        settings: The catalogue's settings; they bound how far ahead a timestamp may lie.
    """

    def __init__(self, batcher: Batcher[ScoreRequest, Answer], settings: Settings) -> None:
        self._batcher = batcher
        self._settings = settings

    async def score(self, headers: Headers, query: bytes, receive: Receive) -> Reply:
        """Answer one transaction; the query may hold ``details=true``."""
        started = time.perf_counter()
        try:
            reply = await self._score(headers, query, receive, started)
        except _REFUSALS as refusal:
            reply = _refusal_reply(refusal)
        metrics.LATENCY.observe(time.perf_counter() - started)
        return reply

    async def score_batch(self, headers: Headers, query: bytes, receive: Receive) -> Reply:
        """Answer up to 1,000 transactions, in their order."""
        try:
            return await self._score_batch(headers, query, receive)
        except _REFUSALS as refusal:
            return _refusal_reply(refusal)

    async def _score(self, headers: Headers, query: bytes, receive: Receive, started: float) -> Reply:
        details = wants_details(query)
        require_json(find_header(headers, b"content-type"))
        body = await read_body(receive, MAX_BODY_BYTES)
        transaction = read_transaction(body, self._settings)
        trace = continue_trace(find_header(headers, b"traceparent"))
        validated = time.perf_counter()
        metrics.STAGES["validate"].observe(validated - started)
        answer = await self._batcher.submit(ScoreRequest(transaction, trace))
        if details:
            timings = _timings(answer, validated - started, time.perf_counter() - started)
            reply = json_reply(_detailed(answer, timings))
            reply.headers.append((b"server-timing", _server_timing(timings)))
            return reply
        return json_reply(answer.body)

    async def _score_batch(self, headers: Headers, query: bytes, receive: Receive) -> Reply:
        details = wants_details(query)
        require_json(find_header(headers, b"content-type"))
        body = await read_body(receive, MAX_BATCH_BODY_BYTES)
        transactions = read_batch(body, self._settings)
        trace = continue_trace(find_header(headers, b"traceparent"))
        answers = await self._decide_all(transactions, trace)
        if details:
            return json_reply({"decisions": [_detailed(answer, answer.timings) for answer in answers]})
        return json_reply({"decisions": [answer.body for answer in answers]})

    async def _decide_all(self, transactions: list[Transaction], trace: Trace) -> list[Answer]:
        return await self._batcher.submit_all([ScoreRequest(transaction, trace) for transaction in transactions])


def _refusal_reply(refusal: Exception) -> Reply:
    if isinstance(refusal, Refused):
        return problem_reply(refusal.problem)
    detail = "no model is available yet" if isinstance(refusal, ModelUnavailable) else "too many requests are waiting"
    return problem_reply(problems.problem(503, f"{detail}; try again"), retry=True)


def problem_reply(problem: Problem, *, retry: bool = False) -> Reply:
    """Write a problem document as an answer and count it."""
    metrics.REFUSED.labels(str(problem.status)).inc()
    headers = [(b"content-type", problems.MEDIA_TYPE.encode())]
    if retry:
        headers.append(_RETRY_AFTER)
    return _with_length(Reply(problem.status, headers, problem.body()))


def json_reply(document: Any, status: int = 200) -> Reply:
    """Write a JSON document as an answer."""
    return _with_length(Reply(status, [(b"content-type", _JSON)], orjson.dumps(document)))


def _with_length(reply: Reply) -> Reply:
    reply.headers.append((b"content-length", str(len(reply.body)).encode()))
    return reply


def _detailed(answer: Answer, timings: dict[str, float]) -> dict[str, Any]:
    return {**answer.body, "features": answer.features, "timings": timings}


def _timings(answer: Answer, validate: float, total: float) -> dict[str, float]:
    stages = {"validate": validate * 1e3, **answer.timings}
    stages["queue"] = max(0.0, total * 1e3 - sum(stages.values()))
    stages["total"] = total * 1e3
    return {name: round(milliseconds, 3) for name, milliseconds in stages.items()}


def _server_timing(timings: dict[str, float]) -> bytes:
    return ", ".join(f"{name};dur={milliseconds}" for name, milliseconds in timings.items()).encode()
