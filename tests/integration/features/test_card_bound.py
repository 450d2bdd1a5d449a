"""A card with more transactions than it may hold: never silently wrong."""

from redis.asyncio import Redis

from shared.features.catalogue import CATALOGUE
from shared.features.online import FeatureRead, OnlineFeatures, ReadStatus
from shared.features.online.layout import Limits
from tests.support.features.checking import expected, same
from tests.support.features.oracle import DAY, HOUR, Tx
from tests.support.features.streams import busy_card

T0 = 1_790_000_000_000
LIMITS = Limits(small=4, block=3, page=2, bucket=150, sweep=4, most=40)
WITHIN_A_DAY = [name for name in CATALOGUE.names if CATALOGUE[name].window_ms and CATALOGUE[name].window <= DAY]


def hourly(number: int) -> Tx:
    return Tx(f"t{number}", "c", T0 + number * HOUR, 100 + number, city=f"city {number % 5}")


async def read_all(features: OnlineFeatures, stream: list[Tx]) -> list[FeatureRead]:
    return [read for one in stream for read in await features.record_and_read([one])]  # type: ignore[list-item]


def value(read: FeatureRead, name: str) -> object:
    return read.values[CATALOGUE.names.index(name)]


async def test_reads_that_reach_beyond_what_is_held_are_marked(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=LIMITS)
    stream = [hourly(number) for number in range(200)]
    reads = await read_all(features, stream)
    for number, (read, (_, wanted)) in enumerate(zip(reads, expected(stream), strict=True)):
        assert read.status is ReadStatus.NEW
        if number < 40:
            assert not read.cut
        for name in WITHIN_A_DAY if read.cut else CATALOGUE.names:
            assert same(value(read, name), wanted[name]), (number, name)
    assert all(read.cut for read in reads[50:])
    assert 37 <= value(reads[-1], "txn_count_30d") <= 48
    await features.aclose()


async def test_an_id_that_was_forgotten_is_too_late_and_marked(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=LIMITS)
    await read_all(features, [hourly(number) for number in range(100)])
    repeated, held = await read_all(features, [hourly(3), hourly(98)])
    assert (repeated.status, repeated.cut) == (ReadStatus.TOO_LATE, True)
    assert (held.status, held.cut) == (ReadStatus.SEEN, True)
    await features.aclose()


async def test_the_mark_goes_when_no_window_reaches_back_so_far(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=LIMITS)
    stream = [hourly(number) for number in [*range(60), *range(40 * 24, 40 * 24 + 20)]]
    reads = await read_all(features, stream)
    assert reads[59].cut
    for read, (_, wanted) in list(zip(reads, expected(stream), strict=True))[60:]:
        assert not read.cut
        assert all(same(value(read, name), wanted[name]) for name in CATALOGUE.names)
    await features.aclose()


async def test_what_is_not_marked_is_exact_on_a_hostile_stream(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=LIMITS)
    stream = busy_card(3, 600, 3 * DAY, late=0.2)
    reads = await read_all(features, stream)
    cut = [read.cut for read in reads]
    assert any(cut)
    assert not all(cut)
    for read, (_, wanted) in zip(reads, expected(stream), strict=True):
        assert read.cut or all(same(value(read, name), wanted[name]) for name in CATALOGUE.names)
    keys = [key async for key in redis.scan_iter("f:*", count=1000)]
    assert len(keys) < 100, "what was forgotten is deleted"
    await features.aclose()


async def test_many_transactions_at_one_moment(redis: Redis) -> None:
    features = OnlineFeatures(redis, limits=LIMITS)
    stream = [Tx(f"t{number}", "c", T0, 100) for number in range(100)]
    reads = await read_all(features, stream)
    assert [value(read, "txn_count_10m") for read in reads[:40]] == list(range(1, 41))
    assert all(read.cut for read in reads[60:])
    await features.aclose()
