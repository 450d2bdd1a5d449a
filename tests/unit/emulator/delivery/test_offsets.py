import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.emulator.delivery.offsets import OffsetTracker


def test_there_is_nothing_to_commit_before_the_first_record() -> None:
    assert OffsetTracker().committable is None


def test_the_lowest_unfinished_record_holds_the_commit_back() -> None:
    tracker = OffsetTracker()
    for offset in (10, 11, 12):
        tracker.receive(offset)
    tracker.finish(12)
    tracker.finish(11)
    assert (tracker.committable, tracker.outstanding) == (None, 1)
    tracker.finish(10)
    assert (tracker.committable, tracker.outstanding) == (13, 0)


def test_a_record_in_the_works_is_not_taken_twice_and_one_done_cannot_come_back_unnoticed() -> None:
    tracker = OffsetTracker()
    assert tracker.receive(5)
    assert tracker.receive(6)
    tracker.finish(6)
    assert not tracker.receive(5)
    assert not tracker.receive(6)
    tracker.finish(5)
    assert tracker.is_rewind(6)
    assert not tracker.is_rewind(7)
    with pytest.raises(ValueError, match="offset 6"):
        tracker.receive(6)


def test_finishing_what_was_not_received_or_twice_is_an_error() -> None:
    tracker = OffsetTracker()
    tracker.receive(1)
    tracker.receive(2)
    tracker.finish(2)
    for wrong in (2, 3):
        with pytest.raises(KeyError):
            tracker.finish(wrong)


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=80), st.randoms(use_true_random=False))
def test_whatever_the_gaps_and_the_order_a_commit_passes_no_unfinished_record(offsets: set[int], random) -> None:
    tracker = OffsetTracker()
    for offset in sorted(offsets):
        assert tracker.receive(offset)
    unfinished = set(offsets)
    for offset in random.sample(sorted(offsets), len(offsets)):
        tracker.finish(offset)
        unfinished.remove(offset)
        lowest = min(unfinished) if unfinished else max(offsets) + 1
        assert tracker.committable == (lowest if lowest > min(offsets) else None)
        assert tracker.outstanding == len(unfinished)
