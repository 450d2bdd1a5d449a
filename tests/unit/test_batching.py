from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.batching import Batcher, Overloaded


class Processor:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None
        self.running = 0

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.running += 1
        assert self.running == 1, "two batches at once"
        self.batches.append(list(items))
        await self.let.wait()
        self.running -= 1
        if self.error is not None:
            raise self.error
        return [2 * item for item in items]


@pytest.fixture
async def processor() -> Processor:
    return Processor()


async def test_a_lone_item_waits_for_nobody(processor: Processor) -> None:
    assert await Batcher(processor).submit(21) == 42
    assert processor.batches == [[21]]


async def test_items_that_wait_together_share_batches_in_order(processor: Processor) -> None:
    batcher = Batcher(processor, max_batch=4)
    results = await asyncio.gather(*[batcher.submit(item) for item in range(10)])
    assert results == [2 * item for item in range(10)]
    assert processor.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_the_next_batch_gathers_while_one_is_under_way(processor: Processor) -> None:
    batcher = Batcher(processor)
    processor.let.clear()
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.001)
    others = [asyncio.create_task(batcher.submit(item)) for item in (2, 3)]
    await asyncio.sleep(0.001)
    assert processor.batches == [[1]]
    processor.let.set()
    assert [await one for one in (first, *others)] == [2, 4, 6]
    assert processor.batches == [[1], [2, 3]]


async def test_an_error_reaches_those_of_its_batch_and_no_others(processor: Processor) -> None:
    batcher = Batcher(processor, max_batch=2, common_errors=(ValueError,))
    processor.error = ValueError("no")
    results = await asyncio.gather(*[batcher.submit(item) for item in range(2)], return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    processor.error = None
    assert await batcher.submit(5) == 10
    assert processor.batches == [[0, 1], [5]]


async def test_an_error_of_one_item_reaches_nobody_else() -> None:
    batches: list[list[int]] = []

    async def process(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        if 2 in items:
            raise LookupError
        return list(items)

    def conclude(items: Sequence[int], processed: list[int]) -> list[int]:
        if 4 in items:
            raise ArithmeticError
        return [2 * item for item in processed]

    batcher: Batcher[int, int] = Batcher(process, conclude, max_batch=3)
    results = await asyncio.gather(*[batcher.submit(item) for item in range(8)], return_exceptions=True)
    expected = [0, 2, LookupError, 6, ArithmeticError, 10, 12, 14]
    assert [type(result) if isinstance(result, Exception) else result for result in results] == expected
    assert batches == [[0, 1, 2], [0], [1], [2], [3, 4, 5], [6, 7], [3], [4], [5]]


async def test_of_a_batch_that_failed_those_who_are_gone_are_not_tried_again() -> None:
    batches: list[list[int]] = []

    async def process(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(0.01)
        if len(items) > 1:
            raise LookupError
        return list(items)

    batcher: Batcher[int, int] = Batcher(process)
    first, gone, last = [asyncio.create_task(batcher.submit(item)) for item in range(3)]
    await asyncio.sleep(0.001)
    gone.cancel()
    assert [await first, await last] == [0, 2]
    assert batches == [[0, 1, 2], [0], [2]]


async def test_a_full_queue_refuses_at_once(processor: Processor) -> None:
    batcher = Batcher(processor, max_batch=1, max_waiting=2)
    processor.let.clear()
    waiting = [asyncio.create_task(batcher.submit(item)) for item in range(2)]
    await asyncio.sleep(0.001)  # one is under way, one waits
    third = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0.001)
    with pytest.raises(Overloaded):
        await batcher.submit(3)
    with pytest.raises(Overloaded):
        await batcher.submit_all([4, 5])
    processor.let.set()
    assert [await one for one in (*waiting, third)] == [0, 2, 4]


async def test_several_are_queued_all_or_none(processor: Processor) -> None:
    batcher = Batcher(processor, max_waiting=3)
    with pytest.raises(Overloaded):
        await batcher.submit_all(range(4))
    assert processor.batches == []
    assert await batcher.submit_all(range(3)) == [0, 2, 4]


async def test_who_has_waited_past_the_deadline_is_refused_unprocessed(processor: Processor) -> None:
    batcher = Batcher(processor, max_batch=1, deadline_seconds=0.02)
    processor.let.clear()
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.001)
    late = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0.04)
    processor.let.set()
    assert await first == 2
    with pytest.raises(Overloaded):
        await late
    assert processor.batches == [[1]]


async def test_who_has_gone_is_not_processed(processor: Processor) -> None:
    batcher = Batcher(processor, max_batch=1)
    processor.let.clear()
    first, gone, last = [asyncio.create_task(batcher.submit(item)) for item in range(3)]
    await asyncio.sleep(0.001)
    gone.cancel()
    processor.let.set()
    assert [await first, await last] == [0, 4]
    assert processor.batches == [[0], [2]]


async def test_a_process_that_answers_too_few_leaves_nobody_waiting() -> None:
    async def forgetful(items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    batcher = Batcher(forgetful)
    async with asyncio.timeout(5):
        results = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)
        assert isinstance((await asyncio.gather(batcher.submit(1), return_exceptions=True))[0], Exception)


async def test_the_next_batch_is_begun_before_the_one_that_is_back_is_concluded(processor: Processor) -> None:
    begun: list[list[list[int]]] = []

    def conclude(items: Sequence[int], processed: list[int]) -> list[int]:
        begun.append(list(processor.batches))
        return [item + double for item, double in zip(items, processed, strict=True)]

    batcher: Batcher[int, int] = Batcher(processor, conclude, max_batch=2)
    assert await asyncio.gather(*[batcher.submit(item) for item in range(5)]) == [3 * item for item in range(5)]
    assert begun == [[[0, 1], [2, 3]], [[0, 1], [2, 3], [4]], [[0, 1], [2, 3], [4]]]


async def test_a_batch_that_cannot_be_concluded_harms_neither_the_one_begun_nor_the_next(processor: Processor) -> None:
    def conclude(items: Sequence[int], processed: list[int]) -> list[int]:
        if 0 in items:
            raise LookupError
        return processed

    batcher: Batcher[int, int] = Batcher(processor, conclude, max_batch=2)
    results = await asyncio.gather(*[batcher.submit(item) for item in range(4)], return_exceptions=True)
    assert [type(result) for result in results] == [LookupError, int, int, int]
    assert await batcher.submit(5) == 10
