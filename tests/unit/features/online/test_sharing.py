import asyncio
from collections.abc import Sequence

import pytest

from shared.features.online import FeatureRead, ReadStatus, SharedRoundTrips
from shared.features.online.wire import Call
from tests.support.features.oracle import Tx


class FakeEngine:
    """Answers a call with its amount; keeps what each round trip held; can fail or hang."""

    def __init__(self) -> None:
        self.round_trips: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.error: Exception | None = None

    async def exchange(self, calls: Sequence[Call]) -> list[FeatureRead | BaseException]:
        self.round_trips.append([call.subject.amount_minor for call in calls])
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [FeatureRead((call.subject.amount_minor,), ReadStatus.NEW) for call in calls]


def tx(number: int) -> Tx:
    return Tx(f"t{number}", "c", 0, number)


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


async def test_reads_of_one_turn_share_a_round_trip_in_order(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=5)
    reads = await asyncio.gather(*[shared.read(tx(k)) for k in range(10)])
    assert [read.values for read in reads] == [(k,) for k in range(10)]
    assert engine.round_trips == [list(range(10))]


async def test_reads_that_come_during_a_round_trip_share_the_next(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=5, most=3)
    engine.gate.clear()
    first = asyncio.ensure_future(shared.read(tx(0)))
    await engine.asked.wait()
    later = [asyncio.ensure_future(shared.read(tx(k))) for k in range(1, 6)]
    await asyncio.sleep(0)
    engine.gate.set()
    await asyncio.gather(first, *later)
    assert engine.round_trips == [[0], [1, 2, 3], [4, 5]]


async def test_an_error_reaches_every_waiter_and_the_next_read_works(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=5)
    engine.error = ConnectionError("away")
    reads = await asyncio.gather(*[shared.read(tx(k)) for k in range(3)], return_exceptions=True)
    assert [type(read) for read in reads] == [ConnectionError] * 3
    engine.error = None
    assert (await shared.read(tx(7))).values == (7,)


async def test_the_deadline_reaches_those_under_way_and_those_waiting(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=0.05, most=1)
    engine.gate.clear()
    reads = await asyncio.gather(*[shared.read(tx(k)) for k in range(2)], return_exceptions=True)
    assert [type(read) for read in reads] == [TimeoutError] * 2
    engine.gate.set()
    assert (await shared.read(tx(7))).values == (7,)
    assert [1] not in engine.round_trips, "nobody waits for it any more, so it is not sent"


async def test_a_cancelled_read_does_not_disturb_the_others(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=5)
    engine.gate.clear()
    reads = [asyncio.ensure_future(shared.read(tx(k))) for k in range(3)]
    await engine.asked.wait()
    reads[1].cancel()
    engine.gate.set()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert results[0].values == (0,)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2].values == (2,)


async def test_what_cannot_be_recorded_is_refused_alone(engine: FakeEngine) -> None:
    shared = SharedRoundTrips(engine, deadline_s=5)
    good, bad = await asyncio.gather(shared.read(tx(1)), shared.read(tx(-1)), return_exceptions=True)
    assert good.values == (1,)
    assert isinstance(bad, ValueError)
