import numpy as np
import pytest

from shared.loadgen.schedule import ClosedLoop, OpenLoop, Pacer

SECOND = 1_000_000_000


def times(pacer: Pacer) -> list[int]:
    taken = []
    while pacer.due() is not None:
        taken.append(pacer.take())
    return taken


def test_fixed_schedule_is_even_and_starts_at_once() -> None:
    due = times(OpenLoop(4, 2, 1000, "fixed"))
    assert due == [1000 + number * SECOND // 4 for number in range(8)]


def test_fixed_schedule_does_not_drift_at_rates_that_do_not_divide_a_second() -> None:
    due = times(OpenLoop(300, 10, 0, "fixed"))
    assert len(due) == 3000
    assert due[-1] == int(2999 * SECOND / 300)


def test_poisson_schedule_has_the_rate_and_exponential_gaps() -> None:
    due = np.array(times(OpenLoop(1000, 20, 0, "poisson", seed=3)))
    assert len(due) == pytest.approx(20_000, rel=0.05)
    assert due[-1] < 20 * SECOND
    gaps = np.diff(due) / SECOND
    assert gaps.mean() == pytest.approx(1e-3, rel=0.05)
    assert gaps.std() == pytest.approx(1e-3, rel=0.05)  # an exponential's deviation is its mean


def test_poisson_schedule_is_repeatable() -> None:
    assert times(OpenLoop(100, 2, 0, "poisson", seed=1)) == times(OpenLoop(100, 2, 0, "poisson", seed=1))
    assert times(OpenLoop(100, 2, 0, "poisson", seed=1)) != times(OpenLoop(100, 2, 0, "poisson", seed=2))


def test_open_loop_keeps_the_due_time_however_late_it_is_taken() -> None:
    pacer = OpenLoop(1, 3, 0, "fixed")
    assert pacer.due() == 0
    assert pacer.take() == 0
    assert pacer.due() == SECOND  # nobody told it the time


def test_taking_after_the_end_is_an_error() -> None:
    pacer = OpenLoop(1, 1, 0, "fixed")
    pacer.take()
    with pytest.raises(IndexError):
        pacer.take()


def test_closed_loop_is_due_until_its_time_is_over() -> None:
    now = 50
    pacer = ClosedLoop(1, 0, lambda: now)
    assert pacer.due() == 50
    assert pacer.take() == 50
    now = SECOND
    assert pacer.due() is None
