"""From transactions to decisions: read features, predict, decide, hand over the events."""

import asyncio
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
from shared.features.online import ReadStatus
from shared.scoring.bundle import Bundle, ServedModel
from shared.scoring.reasons import top_reasons
from shared.telemetry.tracing import Trace

_log = logging.getLogger(__name__)
SOURCE = "/fraud/scorer"
REQUEST_ONLY_SUFFIX = "-request-only"
_MODELS_KEPT = 4
_UNREAD = "unread"
_REFUSED = "store_refused"
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


class Read(NamedTuple):
    """A batch between reading its features and deciding it.

    Attributes:
        in_use: The model that decides it.
        rows: Its feature vectors.
        statuses: What the store knew of each transaction.
        degraded: Why a vector lacks its history; None where it has it.
        cut: Whether windows reach beyond what the card holds.
        seconds: How long reading took.
    """

    in_use: ModelInUse
    rows: list[tuple[FeatureValue, ...]]
    statuses: list[str]
    degraded: list[str | None]
    cut: list[bool]
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
        transactions = [request.transaction for request in requests]
        missing = _REFUSED
        try:
            reads = await self._store.record_and_read(transactions)
        except StoreAway as away:
            reads, missing = [None] * len(transactions), away.reason
        rows, statuses = [], []
        for read, transaction in zip(reads, transactions, strict=True):
            rows.append(self._request_only_vector(transaction) if read is None else read.values)
            statuses.append(_UNREAD if read is None else _STATUSES[read.status])
        degraded = [missing if read is None else None for read in reads]
        cut = [read is not None and read.cut for read in reads]
        return Read(in_use, rows, statuses, degraded, cut, time.perf_counter() - started)

    def conclude(self, requests: Sequence[ScoreRequest], read: Read) -> list[Answer]:
        """Decide a batch that was read, and hand over its events."""
        started = time.perf_counter()
        answers: list[Answer | None] = [None] * len(requests)
        timings = {"features": read.seconds * 1e3}
        whole = [place for place, missing in enumerate(read.degraded) if missing is None]
        alone = [place for place, missing in enumerate(read.degraded) if missing is not None]
        for places, degraded in ((whole, False), (alone, True)):
            if places:
                bodies = self._decide(requests, read, places, degraded=degraded)
                for place, body in zip(places, bodies, strict=True):
                    answers[place] = Answer(body, dict(zip(self._names, read.rows[place], strict=True)), timings)
        predicted = time.perf_counter()
        timings["predict"] = (predicted - started) * 1e3
        decided = [answer for answer in answers if answer is not None]
        self._hand_over(requests, decided, read)
        timings_seen = timings | {"publish": (time.perf_counter() - predicted) * 1e3}
        # Two turns of the event loop later the answers are on their way: nobody waits for what is counted then.
        soon = asyncio.get_running_loop().call_soon
        soon(soon, self._observe, requests, decided, read, timings_seen)
        return decided

    def _decide(
        self, requests: Sequence[ScoreRequest], read: Read, places: list[int], *, degraded: bool
    ) -> list[dict[str, Any]]:
        """Decide some of a batch, all with or all without their history; returns the bodies of their answers."""
        in_use = read.in_use
        served = in_use.bundle.request_only if degraded else in_use.bundle.main
        version = in_use.version + REQUEST_ONLY_SUFFIX if degraded else in_use.version
        policy = served.policy
        rows = [read.rows[place] for place in places]
        # None becomes NaN, XGBoost's missing.
        matrix = np.array(rows, dtype=np.float32).take(self._columns_of(served), axis=1)
        scores = served.predictor.score(matrix).tolist()
        verdicts: list[str] = [policy.decide(score) for score in scores]
        transactions = [requests[place].transaction for place in places]
        control = [] if degraded or not self._control.share else self._let_through(transactions, verdicts)
        reasons = self._reasons(served, matrix, rows, verdicts)
        bodies: list[dict[str, Any]] = [
            {
                "transaction_id": transaction.transaction_id,
                "decision": verdict,
                "score": score,
                "reasons": why,
                "model_version": version,
                "policy_version": policy.version,
                "as_of": transaction.event_time,
                "degraded": degraded,
                "decision_id": decision_id(
                    transaction.event_time_ms, transaction.transaction_id, version, policy.version
                ),
            }
            for transaction, verdict, score, why in zip(transactions, verdicts, scores, reasons, strict=True)
        ]
        for i in control:
            bodies[i]["control"] = True
        return bodies

    def _let_through(self, transactions: Sequence[Transaction], verdicts: list[str]) -> list[int]:
        """Approve the would-be declines of the control group; returns which they are."""
        drawn = [i for i, verdict in enumerate(verdicts) if verdict == "decline" and self._control.has(transactions[i])]
        for i in drawn:
            verdicts[i] = "approve"
        metrics.CONTROL.inc(len(drawn))
        return drawn

    def _columns_of(self, served: ServedModel) -> list[int]:
        cached = self._columns.get(id(served))
        if cached is None or cached[0] is not served:
            cached = (served, list(served.columns_in(self._names)))
            if len(self._columns) > _MODELS_KEPT:
                self._columns.clear()
            self._columns[id(served)] = cached
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

    def _hand_over(self, requests: Sequence[ScoreRequest], answers: list[Answer], read: Read) -> None:
        decided_at = to_rfc3339(now_milliseconds())
        catalogue_version = self._catalogue.version
        events = []
        for request, answer, status, cut in zip(requests, answers, read.statuses, read.cut, strict=True):
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
            if status == _UNREAD:
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
        read: Read,
        timings: dict[str, float],
    ) -> None:
        metrics.BATCH.observe(len(answers))
        for stage, milliseconds in timings.items():
            metrics.STAGES[stage].observe(milliseconds / 1e3)
        for missing, number in Counter(filter(None, read.degraded)).items():
            metrics.DEGRADED.labels(missing).inc(number)
        decisions = Counter((answer.body["decision"], answer.body["model_version"]) for answer in answers)
        for (verdict, version), number in decisions.items():
            metrics.PREDICTIONS.labels(verdict, version).inc(number)
        for status, number in Counter(read.statuses).items():
            metrics.FEATURE_READS.labels(status).inc(number)
            if status == "conflict":
                metrics.FEATURE_CONFLICTS.inc(number)
            elif status == "too_late":
                metrics.FEATURE_TOO_LATE.inc(number)
        if cut := sum(read.cut):
            metrics.FEATURE_CUT.inc(cut)
        self._log(requests, answers)

    def _log(self, requests: Sequence[ScoreRequest], answers: list[Answer]) -> None:
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
