from shared.emulator.scaling_windows import WindowAverage, WindowMaximum


def filled(window: float, *samples: tuple[float, float]) -> WindowAverage:
    average = WindowAverage(window)
    for now, value in samples:
        average.record(now, value)
    return average


def test_partial_window_is_averaged_over_the_seconds_it_has() -> None:
    assert filled(60, (100, 3), (101, 5), (102, 10)).average(102.9) == 6


def test_values_of_one_second_add_up() -> None:
    assert filled(60, (100.1, 3), (100.9, 5)).average(100.9) == 8


def test_gap_inside_counts_as_zero() -> None:
    assert filled(60, (100, 6), (103, 6)).average(103) == 3


def test_window_moves_on() -> None:
    assert filled(3, (100, 30), (101, 3), (102, 6), (103, 9)).average(103) == 6


def test_seconds_that_brought_nothing_yet_are_left_out() -> None:
    window = filled(4, (100, 4), (101, 8), (102, 12), (103, 16))
    assert window.average(105) == 14  # of the window (101, 105] only 102 and 103 have come


def test_after_a_whole_window_of_silence_nothing_is_left() -> None:
    window = filled(4, (100, 4))
    assert window.average(104) == 0
    assert not window.empty(104)
    assert window.empty(105)
    window.record(110, 8)
    assert window.average(110) == 8


def test_average_is_cut_to_six_decimals() -> None:
    assert filled(60, (100, 1), (101, 0), (102, 1)).average(102) == 0.666666


def test_no_sample_is_empty() -> None:
    assert WindowAverage(6).empty(0)


def test_maximum_holds_a_decision_for_the_delay() -> None:
    window = WindowMaximum(delay=6, tick=2)
    assert [window.record(now, value) for now, value in ((0, 5), (2, 3), (4, 1), (6, 1), (8, 1), (10, 2))] == [
        5, 5, 5, 3, 1, 2,
    ]  # fmt: skip


def test_larger_of_two_in_one_slot_counts() -> None:
    window = WindowMaximum(delay=4, tick=2)
    assert [window.record(now, value) for now, value in ((0.0, 4), (1.9, 2), (2.0, 1), (4.0, 1))] == [4, 4, 4, 1]
