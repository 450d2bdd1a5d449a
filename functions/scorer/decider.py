"""From transactions to decisions: read features, predict, decide, hand over the events."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson

from functions.scorer import metrics
from functions.scorer.control import ControlGroup
from functions.scorer.store_guard import StoreAway, StoreGuard
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.decision import FeatureValue, decision_id
from shared.contracts.event_time import now_milliseconds, to_rfc3339
from shared.contracts.transaction import Transaction
from shared.features.catalogue import Catalogue
from shared.features.online import FeatureRead, ReadStatus
from shared.scoring.bundle import Bundle, ServedModel
from shared.scoring.reasons import top_reasons
from shared.telemetry.tracing import Trace

_log = logging.getLogger(__name__)
SOURCE = "/fraud/scorer"
REQUEST_ONLY_SUFFIX = "-request-only"
_STATUSES = {status: status.name.lower() for status in ReadStatus}
_LOGGED = ("transaction_id", "decision", "score", "degraded", "decision_id")
_DECLINES_LOGGED_PER_SECOND = 10


class ModelInUse(Protocol):
    """An immutable snapshot of the model that answers."""

    @property
    def version(self) -> str:
        """Version in the registry."""

    @property
    def bundle(self) -> Bundle:
        """The loaded model."""


class EventSink(Protocol):
    """Where events go without waiting."""

    def publish(self, items: Sequence[tuple[str, Event]]) -> None:
        """Take events, each with its topic."""


class ScoreRequest(NamedTuple):
    """One validated transaction with the trace of its request."""

    transaction: Transaction
    trace: Trace


class Answer(NamedTuple):
    """One decision, as the caller gets it.

    Attributes:
        body: Fields of `shared.contracts.decision.Decision`.
        features: The vector by name; None where it is unknown.
        timings: Milliseconds per stage.
    """

    body: dict[str, Any]
    features: dict[str, FeatureValue]
    timings: dict[str, float]


class _Vectors(NamedTuple):
    """Feature vectors of a batch, and how they were come by."""

    rows: list[tuple[FeatureValue, ...]]
    statuses: list[str]
    degraded: str | None
    cut: list[bool]


class Read(NamedTuple):
    """A batch between reading its features and deciding it.

    Attributes:
        in_use: The model that decides it.
        vectors: Its feature vectors.
        seconds: How long reading took.
    """

    in_use: ModelInUse
    vectors: _Vectors
    seconds: float


class Decider:
    """Decides batches of transactions.

    Args:
        store: Record-and-read of the feature store behind its time limit.
        request_only_vector: Features of a transaction alone, the others None, in the catalogue's order.
        model: Returns the model in use; asked once per batch, so that no vector meets two models.
        sink: Takes the decision events, and the transactions that the store has not seen.
        catalogue: Names the vector's columns.
        control: Would-be declines that are let through.
    """

    def __init__(
        self,
        store: StoreGuard,
        request_only_vector: Callable[[Transaction], tuple[FeatureValue, ...]],
        model: Callable[[], ModelInUse],
        sink: EventSink,
        catalogue: Catalogue,
        control: ControlGroup,
    ) -> None:
        self._store = store
        self._request_only_vector = request_only_vector
        self._model = model
        self._sink = sink
        self._catalogue = catalogue
        self._control = control
        self._names = catalogue.names
        self._columns: dict[int, tuple[ServedModel, list[int]]] = {}
        self._declines_logged = 0
        self._declines_since = 0.0

    async def read(self, requests: Sequence[ScoreRequest]) -> Read:
        """Record a batch and read its feature vectors; the model that is in use now will decide it.

        Raises:
            ModelUnavailable: There is no model at all.
        """
        in_use = self._model()
        started = time.perf_counter()
        vectors = await self._read([request.transaction for request in requests])
        return Read(in_use, vectors, time.perf_counter() - started)

    def conclude(self, requests: Sequence[ScoreRequest], read: Read) -> list[Answer]:
        """Decide a batch that was read, and hand over its events."""
        in_use, vectors, took = read
        started = time.perf_counter()
        degraded = vectors.degraded is not None
        served = in_use.bundle.request_only if degraded else in_use.bundle.main
        version = in_use.version + REQUEST_ONLY_SUFFIX if degraded else in_use.version
        # None becomes NaN, XGBoost's missing.
        matrix = np.array(vectors.rows, dtype=np.float32).take(self._columns_of(served), axis=1)
        scores = served.predictor.score(matrix).tolist()
        verdicts: list[str] = [served.policy.decide(score) for score in scores]
        control = [] if degraded or not self._control.share else self._let_through(requests, verdicts)
        reasons = self._reasons(served, matrix, vectors.rows, verdicts)
        predicted = time.perf_counter()
        timings = {"features": took * 1e3, "predict": (predicted - started) * 1e3}
        answers = []
        for i, request in enumerate(requests):
            transaction = request.transaction
            identity = decision_id(
                transaction.event_time_ms, transaction.transaction_id, version, served.policy.version
            )
            body = {
                "transaction_id": transaction.transaction_id,
                "decision": verdicts[i],
                "score": scores[i],
                "reasons": reasons[i],
                "model_version": version,
                "policy_version": served.policy.version,
                "as_of": transaction.event_time,
                "degraded": degraded,
                "decision_id": identity,
            }
            answers.append(Answer(body, dict(zip(self._names, vectors.rows[i], strict=True)), timings))
        for i in control:
            answers[i].body["control"] = True
        self._hand_over(requests, answers, vectors)
        self._observe(requests, answers, vectors, timings | {"publish": (time.perf_counter() - predicted) * 1e3})
        return answers

    async def _read(self, transactions: list[Transaction]) -> _Vectors:
        try:
            reads: list[FeatureRead] = await self._store.record_and_read(transactions)
        except StoreAway as away:
            rows = [self._request_only_vector(transaction) for transaction in transactions]
            return _Vectors(rows, ["unread"] * len(rows), away.reason, [False] * len(rows))
        statuses = [_STATUSES[read.status] for read in reads]
        return _Vectors([read.values for read in reads], statuses, None, [read.cut for read in reads])

    def _let_through(self, requests: Sequence[ScoreRequest], verdicts: list[str]) -> list[int]:
        """Approve the would-be declines of the control group; returns which they are."""
        drawn = [
            i
            for i, verdict in enumerate(verdicts)
            if verdict == "decline" and self._control.has(requests[i].transaction)
        ]
        for i in drawn:
            verdicts[i] = "approve"
        metrics.CONTROL.inc(len(drawn))
        return drawn

    def _columns_of(self, served: ServedModel) -> list[int]:
        cached = self._columns.get(id(served))
        if cached is None or cached[0] is not served:
            cached = (served, list(served.columns_in(self._names)))
            self._columns = {id(served): cached}
        return cached[1]

    def _reasons(
        self,
        served: ServedModel,
        matrix: np.ndarray[Any, Any],
        rows: list[tuple[FeatureValue, ...]],
        verdicts: Sequence[str],
    ) -> list[list[dict[str, Any]]]:
        explained: list[list[dict[str, Any]]] = [[] for _ in verdicts]
        alerts = [i for i, verdict in enumerate(verdicts) if verdict != "approve"]
        if alerts:
            columns = self._columns_of(served)
            contributions = served.predictor.contributions(matrix[alerts]).tolist()
            for i, raised in zip(alerts, contributions, strict=True):
                values = [rows[i][column] for column in columns]
                top = top_reasons(served.features, values, raised, self._catalogue)
                explained[i] = [reason._asdict() for reason in top]
        return explained

    def _hand_over(self, requests: Sequence[ScoreRequest], answers: list[Answer], vectors: _Vectors) -> None:
        decided_at = to_rfc3339(now_milliseconds())
        catalogue_version = self._catalogue.version
        events = []
        for request, answer, status, cut in zip(requests, answers, vectors.statuses, vectors.cut, strict=True):
            wire = request.transaction.to_wire()
            data = {
                **answer.body,
                "transaction": wire,
                "features": answer.features,
                "feature_status": status,
                "features_cut": cut,
                "catalogue_version": catalogue_version,
                "decided_at": decided_at,
                "control": "control" in answer.body,
                "propensity": self._propensity(answer.body),
            }
            events.append((topics.DECISIONS, _event(cloudevents.DECISION, answer.body["decision_id"], request, data)))
            if status == "unread":
                # The store has not seen it: the updater will record it from this event.
                transaction_id = request.transaction.transaction_id
                events.append((topics.TRANSACTIONS, _event(cloudevents.TRANSACTION, transaction_id, request, wire)))
        self._sink.publish(events)

    def _propensity(self, body: dict[str, Any]) -> float | None:
        if body["degraded"] or (body["decision"] != "decline" and "control" not in body):
            return None
        return self._control.share or None

    def _observe(
        self,
        requests: Sequence[ScoreRequest],
        answers: list[Answer],
        vectors: _Vectors,
        timings: dict[str, float],
    ) -> None:
        metrics.BATCH.observe(len(answers))
        for stage, milliseconds in timings.items():
            metrics.STAGES[stage].observe(milliseconds / 1e3)
        if vectors.degraded is not None:
            metrics.DEGRADED.labels(vectors.degraded).inc(len(answers))
        version = answers[0].body["model_version"]
        for verdict, number in Counter(answer.body["decision"] for answer in answers).items():
            metrics.PREDICTIONS.labels(verdict, version).inc(number)
        for status, number in Counter(vectors.statuses).items():
            metrics.FEATURE_READS.labels(status).inc(number)
            if status == "conflict":
                metrics.FEATURE_CONFLICTS.inc(number)
            elif status == "too_late":
                metrics.FEATURE_TOO_LATE.inc(number)
        if cut := sum(vectors.cut):
            metrics.FEATURE_CUT.inc(cut)
        for request, answer in zip(requests, answers, strict=True):
            if request.trace.sampled or (answer.body["decision"] == "decline" and self._may_log_decline()):
                named = {name: answer.body[name] for name in _LOGGED}
                _log.info("decided", extra={"trace_id": request.trace.trace_id, **named})

    def _may_log_decline(self) -> bool:
        """Whether a decline that nobody traces gets a line: a wave of fraud must not slow the answers to it.

        All of them are on their topic; the lines are for whoever watches.
        """
        now = time.monotonic()
        if now - self._declines_since >= 1.0:
            self._declines_since, self._declines_logged = now, 0
        self._declines_logged += 1
        return self._declines_logged <= _DECLINES_LOGGED_PER_SECOND


def _event(type_: str, id_: str, request: ScoreRequest, data: dict[str, Any]) -> Event:
    transaction = request.transaction
    return Event(
        id=id_,
        source=SOURCE,
        type=type_,
        data=orjson.dumps(data),
        subject=transaction.transaction_id,
        time=transaction.event_time,
        partition_key=transaction.card_id,
        traceparent=request.trace.traceparent,
    )
