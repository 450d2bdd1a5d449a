import pytest

from shared.emulator import crash_loop
from shared.emulator.crash_loop import CrashLoop


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_loop, "monotonic", lambda: 0.0)


def test_what_fails_at_its_start_waits_longer_each_time() -> None:
    crashes = CrashLoop()
    delays = []
    for _ in range(9):
        crashes.crashed("import error", 0.3, was_ready=False)
        delays.append(crashes.delay)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert crashes.failing
    assert (crashes.restarts, crashes.reason) == (9, "import error")


def test_what_served_starts_again_at_once() -> None:
    crashes = CrashLoop()
    for _ in range(5):
        crashes.crashed("killed by SIGKILL", 60, was_ready=True)
        assert crashes.delay == 0
    assert not crashes.failing


def test_what_dies_soon_after_it_became_ready_is_a_crash_loop_too() -> None:
    crashes = CrashLoop()
    delays = []
    for _ in range(4):
        crashes.crashed("exit code 1", 2, was_ready=True)
        delays.append(crashes.delay)
    assert delays == [0, 1, 2, 4]


def test_success_clears_the_reason() -> None:
    crashes = CrashLoop()
    crashes.crashed("x", 1, was_ready=False)
    crashes.recovered()
    assert crashes.reason is None
