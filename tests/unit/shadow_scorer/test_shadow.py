from __future__ import annotations

import logging

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import ValidationError

from functions.shadow_scorer.shadow import ShadowScorer
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event, PoisonEvent
from shared.contracts.shadow import Shadow
from shared.hosts.outcome import Outcome, ServiceAway, run
from shared.registry.errors import ModelUnavailable
from shared.registry.follower import CurrentModel
from tests.support.decisions import TRACEPARENT, decision_event, document, features
from tests.support.fakes.models import model
from tests.support.metrics import Change, sample
from tests.support.scoring.small_bundle import score_of

HIGH = features(amount=200_000)  # log-odds + 4: the challenger reviews at 0.5
LOW = features()


class Bench:
    """A shadow scorer with a challenger and a topic that can be taken away."""

    def __init__(self) -> None:
        self.challenger: CurrentModel | None = model("2", alias="challenger")
        self.registry_away = False
        self.kafka_away = False
        self.published: list[tuple[str, Event]] = []
        self.shadow = ShadowScorer(self._challenger, self)

    def _challenger(self) -> CurrentModel | None:
        if self.registry_away:
            raise ModelUnavailable("away")
        return self.challenger

    async def publish_and_wait(self, topic: str, event: Event) -> None:
        if self.kafka_away:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        self.published.append((topic, event))


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestEvent:
    async def test_says_what_both_models_said_of_the_same_vector(self, bench: Bench) -> None:
        await bench.shadow.handle(decision_event(7, values=HIGH))
        [(topic, event)] = bench.published
        assert topic == topics.SHADOWS
        shadow = Shadow.model_validate_json(event.data)
        champion = document(7)
        assert (shadow.decision_id, shadow.transaction_id, shadow.card_id) == (
            champion["decision_id"],
            "tx-7",
            "card-1",
        )
        assert shadow.champion.model_dump() == {
            "model_version": "1",
            "policy_version": "policy",
            "decision": "approve",
            "score": 0.02,
        }
        assert bench.challenger is not None
        assert shadow.challenger.model_dump() == {
            "model_version": "2",
            "policy_version": bench.challenger.policy.version,
            "decision": "review",
            "score": pytest.approx(score_of(HIGH), abs=1e-6),
        }
        assert shadow.agree is False

    async def test_counts_the_control_group_as_declined_by_the_champion(self, bench: Bench) -> None:
        await bench.shadow.handle(decision_event(7, values=LOW, control=True, propensity=0.1))
        [(_, event)] = bench.published
        shadow = Shadow.model_validate_json(event.data)
        assert (shadow.champion.decision, shadow.challenger.decision) == ("decline", "approve")
        assert shadow.agree is False

    async def test_carries_on_the_decisions_attributes(self, bench: Bench) -> None:
        await bench.shadow.handle(decision_event(7))
        [(_, event)] = bench.published
        assert event.type == cloudevents.SHADOW
        assert event.source == "/fraud/shadow-scorer"
        assert event.subject == "tx-7"
        assert event.partition_key == "card-1"
        assert event.traceparent == TRACEPARENT

    async def test_has_the_same_id_when_delivered_again_and_another_of_another_challenger(self, bench: Bench) -> None:
        for version in ("2", "2", "3"):
            bench.challenger = model(version, alias="challenger")
            await bench.shadow.handle(decision_event(7))
        first, again, other = [event.id for _, event in bench.published]
        assert first == again != other

    async def test_missing_and_null_features_are_missing_values(self, bench: Bench) -> None:
        await bench.shadow.handle(decision_event(values={"amount": None, "unknown": 7}))
        shadow = Shadow.model_validate_json(bench.published[0][1].data)
        assert shadow.challenger.score == pytest.approx(score_of({}), abs=1e-6)

    async def test_fields_of_later_scorers_are_ignored(self, bench: Bench) -> None:
        data = document() | {"explanation": "x"}
        data["transaction"] = data["transaction"] | {"loyalty_tier": "gold"}
        event = decision_event()
        await bench.shadow.handle(Event(event.id, event.source, event.type, orjson.dumps(data)))
        assert len(bench.published) == 1


class TestWhatIsNotCompared:
    async def test_degraded_decisions_have_no_full_vector(self, bench: Bench) -> None:
        change = Change()
        await bench.shadow.handle(decision_event(degraded=True, model_version="1-request-only"))
        assert bench.published == []
        assert change.of("fraud_shadow_skipped_total", reason="degraded") == 1

    async def test_without_a_challenger_nothing_is_done(self, bench: Bench) -> None:
        change = Change()
        bench.challenger = None
        await bench.shadow.handle(decision_event())
        assert bench.published == []
        assert change.of("fraud_shadow_skipped_total", reason="no_challenger") == 1

    async def test_with_the_registry_or_kafka_away_the_event_comes_again(self, bench: Bench) -> None:
        change = Change()
        bench.registry_away = True
        with pytest.raises(ServiceAway):
            await bench.shadow.handle(decision_event())
        bench.registry_away, bench.kafka_away = False, True
        with pytest.raises(ServiceAway):
            await bench.shadow.handle(decision_event())
        assert change.total("fraud_shadow_compared_total") == 0
        bench.kafka_away = False
        await bench.shadow.handle(decision_event())
        assert change.total("fraud_shadow_compared_total") == 1

    @pytest.mark.parametrize("type_", [cloudevents.TRANSACTION, cloudevents.SHADOW, cloudevents.PLAIN_KAFKA])
    async def test_other_events_are_poison(self, bench: Bench, type_: str) -> None:
        with pytest.raises(PoisonEvent):
            await bench.shadow.handle(Event("x", "/s", type_, orjson.dumps(document())))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"null",
            b"{}",
            b"\xff",
            b"[" * 100_000,
            orjson.dumps(document(score=7)),
            orjson.dumps(document(transaction={})),
            orjson.dumps(document(values={"amount": "x"})),  # type: ignore[dict-item]
            orjson.dumps(document()).replace(b'"amount":0', b'"amount":1' + b"0" * 400),
            orjson.dumps(document()).replace(b'"amount":0', b'"amount":NaN'),
            orjson.dumps(document(model_version="")),
        ],
        ids=lambda data: repr(data[:20]),
    )
    async def test_hostile_data_is_poison_and_never_tried_again(self, bench: Bench, data: bytes) -> None:
        handled = await run(bench.shadow.handle, Event("x", "/s", cloudevents.DECISION, data))
        assert handled.outcome is Outcome.POISON
        assert handled.reason

    async def test_the_reason_repeats_no_value(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        data = orjson.dumps(document(decision="4111111111111111"))
        with caplog.at_level(logging.INFO):
            handled = await run(bench.shadow.handle, Event("x", "/s", cloudevents.DECISION, data))
        assert "decision" in handled.reason
        assert "4111" not in handled.reason + caplog.text
        with pytest.raises(ValidationError):
            await bench.shadow.handle(Event("x", "/s", cloudevents.DECISION, data))


class TestAgreement:
    """By hand: ten decisions of which the challenger reviews those of HIGH and approves those of LOW.

    ======== ========== =========== ===== =====
    number   champion   challenger  agree alert
    ======== ========== =========== ===== =====
    0-4      approve    approve     yes   no
    5, 6     review     review      yes   yes
    7        approve    review      no    yes
    8        review     approve     no    yes
    9        decline    review      no    yes
    ======== ========== =========== ===== =====

    7 of 10 agree; of the 5 alerts, 2.
    """

    DECISIONS = tuple(
        [decision_event(number, values=LOW) for number in range(5)]
        + [decision_event(number, values=HIGH, decision="review", score=0.6) for number in (5, 6)]
        + [decision_event(7, values=HIGH)]
        + [decision_event(8, values=LOW, decision="review", score=0.6)]
        + [decision_event(9, values=HIGH, decision="decline", score=0.95)]
    )

    def agreement(self) -> dict[str, float]:
        return {scope: sample("shadow_agreement_percent", scope=scope) for scope in ("all", "alerts")}

    async def test_is_right_overall_and_among_alerts(self, bench: Bench) -> None:
        change = Change()
        for event in self.DECISIONS:
            await bench.shadow.handle(event)
        assert self.agreement() == {"all": pytest.approx(70.0), "alerts": pytest.approx(40.0)}
        pair = {"champion": "1", "challenger": "2"}
        counted = {
            (alert, agree): change.of("fraud_shadow_compared_total", **pair, alert=alert, agree=agree)
            for alert in ("yes", "no")
            for agree in ("yes", "no")
        }
        assert counted == {("no", "yes"): 5, ("no", "no"): 0, ("yes", "yes"): 2, ("yes", "no"): 3}
        low, high = score_of(LOW), score_of(HIGH)
        by_hand = 5 * abs(0.02 - low) + 2 * abs(0.6 - high) + abs(0.02 - high) + abs(0.6 - low) + abs(0.95 - high)
        assert change.of("fraud_shadow_score_difference_total", **pair) == pytest.approx(by_hand, abs=1e-5)

    async def test_counts_redelivered_decisions_once(self, bench: Bench) -> None:
        change = Change()
        for event in [*self.DECISIONS, *reversed(self.DECISIONS), *self.DECISIONS[7:]]:
            await bench.shadow.handle(event)
        assert self.agreement() == {"all": pytest.approx(70.0), "alerts": pytest.approx(40.0)}
        assert change.total("fraud_shadow_compared_total") == 10

    async def test_does_not_count_what_kafka_did_not_take(self, bench: Bench) -> None:
        await bench.shadow.handle(self.DECISIONS[0])
        bench.kafka_away = True
        with pytest.raises(ServiceAway):
            await bench.shadow.handle(self.DECISIONS[7])
        assert self.agreement()["all"] == 100
        bench.kafka_away = False
        await bench.shadow.handle(self.DECISIONS[7])
        assert self.agreement()["all"] == 50

    async def test_begins_anew_with_another_champion_or_challenger(self, bench: Bench) -> None:
        for event in self.DECISIONS:
            await bench.shadow.handle(event)
        bench.challenger = model("3", rules=(), alias="challenger")  # approves everything
        await bench.shadow.handle(decision_event(5, values=HIGH, decision="review"))
        assert self.agreement() == {"all": 0.0, "alerts": 0.0}
        await bench.shadow.handle(decision_event(20, model="2", values=LOW))
        assert sample("shadow_agreement_percent", scope="all") == 100.0
        assert "alerts" not in _scopes()

    async def test_of_a_pair_survives_stragglers_of_the_pair_before(self, bench: Bench) -> None:
        """While replicas change over one by one, decisions of the old champion and of the new one come mixed."""
        change = Change()
        for event in self.DECISIONS[:5]:
            await bench.shadow.handle(event)
        new = [decision_event(number, model="2", values=HIGH) for number in range(30, 34)]  # all disagree
        for event, straggler in zip(new, self.DECISIONS[5:9], strict=True):
            await bench.shadow.handle(event)
            await bench.shadow.handle(straggler)
        await bench.shadow.handle(new[0])
        assert change.total("fraud_shadow_compared_total") == 13
        await bench.shadow.handle(decision_event(40, model="2", values=LOW))
        assert self.agreement() == {"all": pytest.approx(20.0), "alerts": 0.0}


def _scopes() -> set[str]:
    from functions.shadow_scorer.agreement import AGREEMENT  # noqa: PLC0415 - for this one look

    return {one.labels["scope"] for metric in AGREEMENT.collect() for one in metric.samples}
