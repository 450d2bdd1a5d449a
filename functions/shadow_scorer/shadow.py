"""The challenger on the champion's feature vectors."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from confluent_kafka import KafkaException

from functions.shadow_scorer.agreement import SKIPPED, Agreement
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.decision import DecisionRecord, Verdict, record_from_event
from shared.contracts.shadow import Opinion, Shadow
from shared.hosts.outcome import ServiceAway
from shared.registry.errors import ModelUnavailable
from shared.registry.follower import CurrentModel

_SOURCE = "/fraud/shadow-scorer"


class Publisher(Protocol):
    """Where shadow events go."""

    async def publish_and_wait(self, topic: str, event: Event) -> None:
        """Publish one event; return once Kafka has it."""


class ShadowScorer:
    """Scores decisions with the challenger.

    It reads the vector that the decision was made from, never the feature store, so both models see the same.

    Args:
        challenger: Returns the challenger, or None when the registry names none.
        publisher: Takes the shadow events.
    """

    def __init__(self, challenger: Callable[[], CurrentModel | None], publisher: Publisher) -> None:
        self._challenger = challenger
        self._publisher = publisher
        self._agreement = Agreement()

    async def handle(self, event: Event) -> None:
        """Score one decision event.

        Raises:
            PoisonEvent: It is no decision.
            pydantic.ValidationError: A field is wrong.
            ServiceAway: Kafka or the model registry is away.
        """
        if event.type != cloudevents.DECISION:
            raise PoisonEvent(f"expected an event of type {cloudevents.DECISION}")
        record = record_from_event(event.data)
        if record.degraded:
            SKIPPED.labels("degraded").inc()  # there is no full vector to score
            return
        try:
            challenger = self._challenger()
        except ModelUnavailable as error:
            raise ServiceAway("the model registry is away, and no copy of the challenger is here") from error
        if challenger is None:
            SKIPPED.labels("no_challenger").inc()
            return
        shadow = compare(record, challenger)
        try:
            await self._publisher.publish_and_wait(topics.SHADOWS, _event(event, shadow))
        except KafkaException as error:
            raise ServiceAway("Kafka does not take shadow events") from error
        self._agreement.count(shadow)


def compare(record: DecisionRecord, challenger: CurrentModel) -> Shadow:
    """Score a decision's vector with the challenger; a feature that the vector lacks is missing."""
    served = challenger.bundle.main
    row = [record.features.get(name) for name in served.features]
    score = float(served.predictor.score(np.array([row], dtype=np.float32))[0])
    decision = served.policy.decide(score)
    # What the champion would have declined and let through to learn from is no approval of its.
    champion: Verdict = "decline" if record.control else record.decision
    return Shadow(
        decision_id=record.decision_id,
        transaction_id=record.transaction_id,
        card_id=record.transaction.card_id,
        champion=Opinion(
            model_version=record.model_version,
            policy_version=record.policy_version,
            decision=champion,
            score=record.score,
        ),
        challenger=Opinion(
            model_version=challenger.version,
            policy_version=served.policy.version,
            decision=decision,
            score=score,
        ),
        agree=decision == champion,
        as_of=record.as_of,
        scored_at=datetime.now(UTC),
    )


def _event(decision: Event, shadow: Shadow) -> Event:
    return Event(
        # One opinion of one challenger on one decision: a redelivery gives the same id.
        id=f"{shadow.decision_id}/{shadow.challenger.model_version}",
        source=_SOURCE,
        type=cloudevents.SHADOW,
        data=shadow.model_dump_json().encode(),
        subject=shadow.transaction_id,
        time=decision.time,
        partition_key=shadow.card_id,
        traceparent=decision.traceparent,
    )
