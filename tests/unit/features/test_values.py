import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.features.values import hour_of_day, is_weekend, speed_kmh, zscore
from tests.support.features.oracle import true_zscore

amounts = st.integers(0, 10**12)


@given(st.lists(amounts, min_size=5, max_size=60), amounts)
def test_zscore_is_the_definition_to_a_few_units_in_the_last_place(others: list[int], amount: int) -> None:
    got = zscore(amount, len(others), sum(others), sum(a * a for a in others))
    if len(set(others)) == 1:
        assert got == 0.0
    else:
        assert math.isclose(got, true_zscore(amount, others), rel_tol=4 * 2**-52, abs_tol=0.0)


def test_zscore_is_zero_below_five_others_and_without_deviation() -> None:
    assert zscore(9, 4, 10, 30) == 0.0
    assert zscore(10**12, 5, 5 * (10**12 - 1), 5 * (10**12 - 1) ** 2) == 0.0


def test_a_deviation_of_one_minor_unit_among_large_amounts_counts() -> None:
    others = [10**12] * 9_999 + [10**12 - 1]
    got = zscore(10**12, len(others), sum(others), sum(a * a for a in others))
    assert math.isclose(got, true_zscore(10**12, others), rel_tol=1e-15)


@pytest.mark.parametrize("start", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2025, 12, 28, 23, tzinfo=UTC)])
def test_calendar_agrees_with_datetime(start: datetime) -> None:
    for hours in range(24 * 15):
        moment = start + timedelta(hours=hours, milliseconds=999)
        event_time_ms = round(moment.timestamp() * 1000)
        assert hour_of_day(event_time_ms) == moment.hour
        assert is_weekend(event_time_ms) == int(moment.weekday() >= 5)


@pytest.mark.parametrize(
    ("here", "there", "kilometres"),
    [
        ((51.4700, -0.4543), (40.6413, -73.7781), 5_540),  # London Heathrow to New York JFK, on a sphere
        ((0.0, 179.5), (0.0, -179.5), 111.2),  # across the date line
        ((89.9, 0.0), (89.9, 180.0), 22.2),  # across the pole
    ],
)
def test_speed_is_the_great_circle_over_the_time(
    here: tuple[float, float], there: tuple[float, float], kilometres: float
) -> None:
    places = [(round(latitude * 1e7), round(longitude * 1e7)) for latitude, longitude in (here, there)]
    assert speed_kmh(places[0], places[1], 3_600_000) == pytest.approx(kilometres, rel=2e-3)
    assert speed_kmh(places[0], places[1], 0) == pytest.approx(kilometres * 3_600, rel=2e-3), "at least a second"
    assert speed_kmh(places[0], places[0], 0) == 0.0
