"""The check of parity tells faults from what is legitimate, on vectors of the real online engine."""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.decision import decision_id
from shared.contracts.event_time import to_rfc3339
from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from shared.features.online import OnlineFeatures
from shared.features.online.client import connect
from shared.features.online.layout import Limits
from shared.lake.lake import Lake
from shared.parity.check import ParityCheck, Report
from tests.support.lake.tables import own_lake, write
from tests.support.servers import ROOT
from tests.support.transactions import transaction

NOON_MS = 1_768_478_400_000  # 2026-01-15 12:00 UTC
MINUTE_MS = 60_000
DAY_MS = 86_400_000
BEGIN = datetime.fromtimestamp(NOON_MS / 1000, UTC)


@dataclass
class World:
    """A feature store, the scorer and the updater in front of it, and the lake behind them."""

    store: OnlineFeatures
    lake: Lake
    now_ms: int = NOON_MS
    decisions: list[tuple[Event, int]] = field(default_factory=list)
    transactions: list[tuple[Event, int]] = field(default_factory=list)

    def make(self, id_: str, age_ms: int = 0, **changes: Any) -> Transaction:
        return transaction(transaction_id=id_, timestamp=to_rfc3339(self.now_ms - age_ms), **changes)

    async def update(self, one: Transaction) -> None:
        """The updater applies a transaction."""
        await self.store.record_and_read([one])

    def publish(self, one: Transaction) -> None:
        """A transaction stands on its topic."""
        event = Event(one.transaction_id, "/t", cloudevents.TRANSACTION, orjson.dumps(one.to_wire()))
        self.transactions.append((event, self.now_ms))

    async def decide(self, one: Transaction, *, wrong: Mapping[str, float] | None = None, away: bool = False) -> str:
        """The scorer decides; `wrong` values are logged instead of those that it read."""
        if away:
            status, values, cut = "unread", self.store.request_only_vector(one), False
        else:
            (read,) = await self.store.record_and_read([one])
            status, values, cut = read.status.name.lower(), read.values, read.cut
        identity = decision_id(one.event_time_ms, one.transaction_id, "1", str(len(self.decisions)))
        document = {
            "transaction_id": one.transaction_id,
            "decision": "approve",
            "score": 0.01,
            "reasons": [],
            "model_version": "1",
            "policy_version": "p",
            "as_of": one.event_time,
            "degraded": away,
            "decision_id": identity,
            "transaction": one.to_wire(),
            "features": dict(zip(CATALOGUE.names, values, strict=True)) | dict(wrong or {}),
            "feature_status": status,
            "features_cut": cut,
            "catalogue_version": CATALOGUE.version,
            "decided_at": to_rfc3339(self.now_ms),
        }
        event = Event(identity, "/t", cloudevents.DECISION, orjson.dumps(document))
        self.decisions.append((event, self.now_ms))
        return identity

    def archive(self) -> datetime:
        """Archive everything; returns a moment after all of it."""
        write(self.lake, "transactions", self.transactions)
        write(self.lake, "decisions", self.decisions)
        self.transactions, self.decisions = [], []
        return datetime.fromtimestamp(self.now_ms / 1000, UTC) + timedelta(minutes=1)

    def check(self, **options: Any) -> Report:
        """Archive everything and check all of it."""
        end = self.archive()
        return ParityCheck(self.lake, **{"share": 1.0, "most": 10_000, **options}).run(BEGIN, end)


@pytest.fixture
async def world(redis_url: str, s3_environment: Mapping[str, str]) -> AsyncIterator[World]:
    store = OnlineFeatures(connect(redis_url))
    yield World(store, own_lake(s3_environment))
    await store.aclose()


async def test_honest_traffic_has_no_mismatch(world: World) -> None:
    chance = random.Random(5)
    waiting: list[tuple[int, Transaction]] = []
    for number in range(400):
        world.now_ms += chance.randrange(0, 4_000)
        for due, one in [entry for entry in waiting if entry[0] <= world.now_ms]:
            waiting.remove((due, one))
            await world.update(one)
        one = world.make(
            f"tx-{number}",
            chance.choice([0, 0, 0, chance.randrange(3 * DAY_MS), 40 * DAY_MS]),
            card_id=f"card-{number % 5}",
            amount=f"{chance.randrange(1, 500)}.00",
            city=chance.choice(["Lisbon", "Porto", None]),
            merchant_id=f"m-{chance.randrange(4)}",
        )
        kind = chance.random()
        if kind < 0.5:  # scored alone
            await world.decide(one)
        elif kind < 0.8:  # published and scored; the updater comes before or after
            world.publish(one)
            if chance.random() < 0.5:
                await world.update(one)
                world.now_ms += 5
            else:
                waiting.append((world.now_ms + chance.randrange(5_000), one))
            await world.decide(one)
        elif kind < 0.9:  # published only; the updater lags
            world.publish(one)
            waiting.append((world.now_ms + chance.randrange(5_000), one))
        else:  # scored twice, the second time with other content
            await world.decide(one)
            world.now_ms += 2_000
            await world.decide(one.model_copy(update={"merchant_id": "another"}))
    report = world.check()
    assert report.decisions_wrong == 0, report.wrong
    assert report.checked > 300
    assert report.undecidable <= report.checked * 0.01


async def test_a_planted_wrong_vector_is_reported_with_its_features(world: World) -> None:
    for number in range(20):
        world.now_ms += MINUTE_MS
        await world.decide(world.make(f"tx-{number}"))
    world.now_ms += MINUTE_MS
    planted = await world.decide(world.make("wrong"), wrong={"txn_count_24h": 20, "avg_amount_24h": 49.0})
    report = world.check()
    assert (report.checked, report.decisions_wrong, report.undecidable) == (21, 1, 0)
    assert report.mismatches == {"txn_count_24h": 1, "avg_amount_24h": 1}
    assert report.wrong[0]["decision_id"] == planted
    assert report.wrong[0]["features"]["txn_count_24h"] == {"logged": 20, "expected": 21}


async def test_the_process_of_a_check_tells_what_is_wrong_and_what_it_left_out(
    world: World, s3_environment: Mapping[str, str]
) -> None:
    await world.decide(world.make("away", card_id="other"), away=True)
    await world.decide(world.make("wrong"), wrong={"txn_count_24h": 20})
    asked = {"since": BEGIN.isoformat(), "until": world.archive().isoformat(), "share": 1.0, "most": 100}
    command = [sys.executable, "-m", "functions.archiver.parity_job", orjson.dumps(asked).decode()]
    environment = {**os.environ, **s3_environment, "FRAUD_LAKE_URI": world.lake.settings.fraud_lake_uri}
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    said = orjson.loads(output)
    assert (said["checked"], said["decisions_wrong"]) == (1, 1)
    assert (said["mismatches"], said["left_out"]) == ({"txn_count_24h": 1}, {"degraded": 1})


async def test_a_float_one_unit_off_in_the_last_place_is_equal_and_two_units_are_not(world: World) -> None:
    await world.decide(world.make("tx-0", amount="30.01"))
    world.now_ms += MINUTE_MS
    one_off = math.nextafter((3001 + 1000) / 2, math.inf)
    await world.decide(world.make("tx-1", amount="10.00"), wrong={"avg_amount_24h": one_off})
    assert world.check().decisions_wrong == 0
    world.now_ms += MINUTE_MS
    two_off = math.nextafter(math.nextafter(5001 / 3, math.inf), math.inf)
    await world.decide(world.make("tx-2", amount="10.00"), wrong={"avg_amount_24h": two_off})
    assert world.check().mismatches == {"avg_amount_24h": 1}


async def test_an_event_that_arrived_after_the_decision_is_no_mismatch(world: World) -> None:
    await world.decide(world.make("tx-0"))
    world.now_ms += 10 * MINUTE_MS
    await world.decide(world.make("tx-1"))
    world.now_ms += 10 * MINUTE_MS
    late = world.make("late", 15 * MINUTE_MS)  # happened between the two, and is known only now
    world.publish(late)
    await world.update(late)
    world.now_ms += 10 * MINUTE_MS
    await world.decide(world.make("tx-2"))
    report = world.check()
    assert (report.checked, report.decisions_wrong) == (3, 0)


async def test_a_decision_that_ignored_an_event_that_had_arrived_is_a_mismatch(world: World) -> None:
    await world.decide(world.make("tx-0"))
    world.now_ms += 10 * MINUTE_MS
    missed = world.make("missed", 5 * MINUTE_MS)
    world.publish(missed)  # and no updater takes it
    world.now_ms += 60 * MINUTE_MS
    await world.decide(world.make("tx-1"))
    report = world.check()
    assert report.decisions_wrong == 1
    assert "txn_count_24h" in report.mismatches


@pytest.mark.parametrize("updater_was_first", [True, False])
async def test_an_event_published_just_before_the_decision_may_be_known_or_not(
    world: World, updater_was_first: bool
) -> None:
    await world.decide(world.make("tx-0"))
    world.now_ms += MINUTE_MS
    close = world.make("close")
    world.publish(close)
    if updater_was_first:
        await world.update(close)
    world.now_ms += 20
    await world.decide(world.make("tx-1"))
    if not updater_was_first:
        await world.update(close)
    report = world.check()
    assert (report.checked, report.decisions_wrong, report.undecidable) == (2, 0, 0)


async def test_an_event_that_only_the_store_knows_is_a_mismatch(world: World) -> None:
    await world.update(world.make("ghost", MINUTE_MS))
    await world.decide(world.make("tx-0"))
    report = world.check()
    assert report.decisions_wrong == 1


async def test_degraded_decisions_are_left_out(world: World) -> None:
    await world.decide(world.make("tx-0"), away=True)
    world.now_ms += MINUTE_MS
    await world.decide(world.make("tx-1", card_id="other"))
    report = world.check()
    assert (report.checked, report.left_out) == (1, {"degraded": 1})


async def test_cut_vectors_are_left_out(redis_url: str, s3_environment: Mapping[str, str]) -> None:
    """A card that holds about 40 transactions: what it has forgotten is in the lake."""
    limits = Limits(small=4, block=3, page=2, bucket=150, sweep=4, most=40)
    world = World(OnlineFeatures(connect(redis_url), limits=limits), own_lake(s3_environment))
    for number in range(60):
        world.now_ms += MINUTE_MS
        await world.decide(world.make(f"tx-{number}"))
    await world.store.aclose()
    report = world.check()
    assert report.decisions_wrong == 0, report.wrong
    assert report.left_out["cut"] >= 10
    assert report.checked + report.left_out["cut"] == 60


async def test_decisions_whose_windows_reach_before_the_lake_are_left_out(world: World) -> None:
    await world.update(world.make("before the lake", MINUTE_MS))
    await world.decide(world.make("tx-0"))
    report = world.check(complete_since=BEGIN)
    assert (report.checked, report.left_out) == (0, {"history begins later": 1})


async def test_a_share_checks_the_same_decisions_every_time(world: World) -> None:
    for number in range(200):
        world.now_ms += 1_000
        await world.decide(world.make(f"tx-{number}", card_id=f"card-{number}"))
    assert 20 < world.check(share=0.2).checked < 70
    first = world.check(share=0.2)
    assert world.check(share=0.2).checked == first.checked
    assert world.check(share=1.0, most=7).checked == 7
