import asyncio
from typing import Any

import pytest

from shared.emulator import queue_proxy
from shared.emulator.queue_proxy import QueueProxy


class Cycle:
    """Stands for uvicorn's side of a request."""

    def __init__(self) -> None:
        self.response_started = False
        self.status: int | None = None
        self.transport = self
        self.aborted = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.response_started = True
            self.status = message["status"]

    def abort(self) -> None:
        self.aborted = True


class Function:
    """An ASGI application that answers when told."""

    def __init__(self, *, begins_early: bool = False) -> None:
        self.go = asyncio.Event()
        self.running = self.most = 0
        self._begins_early = begins_early

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self._begins_early:
                await send({"type": "http.response.start", "status": 200})
            await self.go.wait()
            if not self._begins_early:
                await send({"type": "http.response.start", "status": 200})
        finally:
            self.running -= 1


async def ask(proxy: QueueProxy, count: int) -> tuple[list[Cycle], list["asyncio.Task[None]"]]:
    cycles = [Cycle() for _ in range(count)]
    tasks = [asyncio.create_task(proxy({}, None, cycle.send)) for cycle in cycles]
    await asyncio.sleep(0)
    return cycles, tasks


async def test_limit_is_kept_and_everything_queued_is_answered() -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=3, timeout=60)
    cycles, tasks = await ask(proxy, 20)
    assert (function.running, proxy.in_flight) == (3, 20)
    function.go.set()
    await asyncio.gather(*tasks)
    assert function.most == 3
    assert {cycle.status for cycle in cycles} == {200}
    assert proxy.in_flight == 0


async def test_queue_holds_ten_per_slot_and_then_refuses() -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=2, timeout=60)
    cycles, tasks = await ask(proxy, 2 + 20 + 3)
    assert [cycle.status for cycle in cycles[-3:]] == [503, 503, 503]
    function.go.set()
    await asyncio.gather(*tasks)
    assert [cycle.status for cycle in cycles[:-3]] == [200] * 22


async def test_slot_of_a_waiter_that_went_away_is_not_lost() -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=1, timeout=60)
    cycles, tasks = await ask(proxy, 3)
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    function.go.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert (cycles[0].status, cycles[2].status) == (200, 200)
    (late,), (task,) = await ask(proxy, 1)
    await task
    assert late.status == 200


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(queue_proxy, "monotonic", lambda: now[0])
    return now


async def test_only_requests_whose_time_is_over_end_with_504(clock: list[float]) -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=0, timeout=5)
    old, old_tasks = await ask(proxy, 2)
    clock[0] += 4
    young, young_tasks = await ask(proxy, 1)
    clock[0] += 2
    proxy.sweep()
    await asyncio.gather(*old_tasks)
    assert [cycle.status for cycle in old] == [504, 504]
    assert young[0].status is None
    function.go.set()
    await asyncio.gather(*young_tasks)
    assert young[0].status == 200


async def test_answer_that_had_begun_is_broken_off(clock: list[float]) -> None:
    proxy = QueueProxy(Function(begins_early=True), concurrency=0, timeout=5)
    (cycle,), (task,) = await ask(proxy, 1)
    clock[0] += 6
    proxy.sweep()
    await task
    assert (cycle.status, cycle.aborted) == (200, True)


async def test_time_out_in_the_queue_frees_no_slot_it_does_not_hold(clock: list[float]) -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=1, timeout=5)
    cycles, tasks = await ask(proxy, 2)
    clock[0] += 6
    proxy.sweep()
    await asyncio.gather(*tasks)
    assert [cycle.status for cycle in cycles] == [504, 504]
    _, tasks = await ask(proxy, 2)
    assert function.running == 1
    function.go.set()
    await asyncio.gather(*tasks)


async def test_concurrency_is_the_time_weighted_average(clock: list[float]) -> None:
    function = Function()
    proxy = QueueProxy(function, concurrency=0, timeout=60)
    clock[0] += 0.5
    _, tasks = await ask(proxy, 4)  # 0.5 s of nothing, then 4 for 1.5 s
    clock[0] += 1.5
    assert proxy.report() == {"concurrency": 3.0, "rps": 0.0, "in_flight": 4}
    clock[0] += 1.0
    function.go.set()
    await asyncio.gather(*tasks)
    clock[0] += 1.0
    assert proxy.report() == {"concurrency": 2.0, "rps": 2.0, "in_flight": 0}
