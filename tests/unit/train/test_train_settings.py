"""The world that the first champion comes from."""

import pytest
from pydantic import ValidationError

from functions.train.settings import TrainSettings
from shared.simulation.config import DEFAULT_MIX, Pattern, SimulationConfig


def test_by_default_it_is_the_simulations_own():
    traffic = TrainSettings().bootstrap_traffic
    assert SimulationConfig(start_ms=0, transactions_per_day=1, **traffic) == SimulationConfig(0, 1)
    assert traffic["mix"] == DEFAULT_MIX


def test_a_pattern_can_be_left_out_by_the_environment(monkeypatch):
    monkeypatch.setenv("FRAUD_BOOTSTRAP_SHARES", "card_testing=0, large_one_off=0.5")
    monkeypatch.setenv("FRAUD_BOOTSTRAP_LABEL_DELAY", "6h-1d")
    traffic = TrainSettings().bootstrap_traffic
    assert traffic["mix"][Pattern.CARD_TESTING] == 0
    assert traffic["mix"][Pattern.LARGE_ONE_OFF] == 0.5
    assert sum(traffic["mix"].values()) == pytest.approx(1)
    assert traffic["label_delay_days"] == (0.25, 1.0)


@pytest.mark.parametrize("shares", ["card_testing=2", "nothing=0.1", "card_testing=0.1@4", "card_testing"])
def test_what_cannot_be_simulated_is_refused(shares):
    with pytest.raises(ValidationError):
        TrainSettings(fraud_bootstrap_shares=shares)
