import pytest

from functions.producer.settings import ProducerSettings
from functions.producer.timetable import OvertakesClock, Timetable, simulation
from shared.simulation.config import DAY_MS, Pattern

NOW_MS = 1_790_000_000_000


def config(**settings):
    return simulation(ProducerSettings(**settings), NOW_MS)


def test_intended_times_lie_on_a_straight_line():
    timetable = Timetable(start_ms=1_000_000, origin=50.0, speedup=100.0)

    assert timetable.intended(1_000_000) == 50.0
    assert timetable.intended(1_000_000 + 3_600_000) == 50.0 + 36.0


def test_at_the_clocks_own_speed_it_starts_now():
    assert config().start_ms == NOW_MS
    assert config(count=1_000).start_ms == NOW_MS


@pytest.mark.parametrize(("rate", "speedup", "count"), [(10, 100, 10_000), (500, 1_000, 2_000), (50, 2, 10)])
def test_a_faster_run_ends_before_the_present(rate, speedup, count):
    start_ms = config(rate=rate, speedup=speedup, count=count).start_ms
    seconds = count / rate
    end_ms = start_ms + seconds * speedup * 1e3

    assert end_ms < NOW_MS + seconds * 1e3
    assert NOW_MS - start_ms < 4 * (speedup * seconds * 1e3) + 60_000 * speedup


def test_endless_faster_traffic_starts_thirty_days_back():
    assert config(speedup=1_000).start_ms == NOW_MS - 30 * DAY_MS


def test_the_population_follows_from_rate_and_speedup():
    assert config(rate=10).cards == 288_000
    assert config(rate=10, speedup=1_000).cards == 288


def test_a_start_that_leads_into_the_future_is_refused():
    with pytest.raises(OvertakesClock, match="future"):
        config(start="2126-01-01T00:00:00Z")
    with pytest.raises(OvertakesClock, match="gain"):
        config(start="2026-09-21T14:00:00Z", speedup=1_000, count=10_000)
    assert config(start="2026-09-01T00:00:00Z", speedup=100, count=1_000).start_ms < NOW_MS


def test_patterns_and_delays_reach_the_simulation():
    made = config(pattern="card_testing=0.6@4", fraud_share=0.02, label_delay="1h-2h", seed=9)

    assert made.mix[Pattern.CARD_TESTING] == 0.6
    assert made.onset_days == {Pattern.CARD_TESTING: 4.0}
    assert (made.fraud_share, made.seed) == (0.02, 9)
    assert made.label_delay_days == pytest.approx((1 / 24, 2 / 24))
