from __future__ import annotations

import asyncio

import pytest

from shared.telemetry.tracing import continue_trace, current, set_current, start_trace

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_trace_goes_on_in_a_new_span() -> None:
    trace = continue_trace(f"00-{TRACE}-{PARENT}-01")
    assert trace.trace_id == TRACE
    assert trace.span_id != PARENT
    assert trace.sampled
    assert trace.traceparent == f"00-{TRACE}-{trace.span_id}-01"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_callers_sampling_is_kept(flags: str, sampled: bool) -> None:
    trace = continue_trace(f"00-{TRACE}-{PARENT}-{flags}")
    assert trace.sampled is sampled
    assert trace.traceparent.endswith(flags)


def test_later_versions_are_read_as_far_as_they_are_known() -> None:
    assert continue_trace(f"01-{TRACE}-{PARENT}-01-more").trace_id == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "x",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-01-more",
    ],
)
def test_what_is_no_trace_starts_a_new_one_unsampled(traceparent: str | None) -> None:
    trace = continue_trace(traceparent)
    assert trace.trace_id != TRACE
    assert not trace.sampled
    assert continue_trace(trace.traceparent).trace_id == trace.trace_id


def test_new_traces_differ() -> None:
    assert len({start_trace(sampled=True).trace_id for _ in range(1_000)}) == 1_000


async def test_each_task_has_its_own_current_trace() -> None:
    async def task() -> str:
        trace = start_trace(sampled=False)
        set_current(trace)
        await asyncio.sleep(0)
        found = current()
        assert found is trace
        return found.trace_id

    assert len(set(await asyncio.gather(*[task() for _ in range(10)]))) == 10
