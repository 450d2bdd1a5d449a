import pytest

from shared.simulation.config import DAY_MS, DEFAULT_MIX, PATTERNS, Pattern, SimulationConfig, mix_with


def test_named_shares_hold_and_the_others_keep_their_proportions():
    mix = mix_with({Pattern.CARD_TESTING: 0.5, Pattern.LARGE_ONE_OFF: 0.0})

    assert mix[Pattern.CARD_TESTING] == 0.5
    assert mix[Pattern.LARGE_ONE_OFF] == 0.0
    assert sum(mix.values()) == pytest.approx(1)
    assert mix[Pattern.STOLEN_CARD_SPREE] / mix[Pattern.IMPOSSIBLE_TRAVEL] == pytest.approx(
        DEFAULT_MIX[Pattern.STOLEN_CARD_SPREE] / DEFAULT_MIX[Pattern.IMPOSSIBLE_TRAVEL]
    )


@pytest.mark.parametrize(
    "shares",
    [
        {Pattern.CARD_TESTING: 1.2},
        {Pattern.CARD_TESTING: -0.1},
        {Pattern.CARD_TESTING: 0.7, Pattern.LARGE_ONE_OFF: 0.7},
        dict.fromkeys(PATTERNS, 0.1),
    ],
)
def test_shares_that_cannot_add_up_are_refused(shares):
    with pytest.raises(ValueError, match="share"):
        mix_with(shares)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"transactions_per_day": 0.0},
        {"fraud_share": 0.9},
        {"late_share": -0.1},
        {"mix": {Pattern.CARD_TESTING: 0.5}},
        {"label_delay_days": (3.0, 2.0)},
    ],
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        SimulationConfig(**({"start_ms": 0, "transactions_per_day": 100.0} | change))


def test_the_population_follows_from_the_volume():
    assert SimulationConfig(0, 864_000.0).cards == 288_000
    assert SimulationConfig(0, 1.0).cards == 40


def test_a_pattern_has_its_share_from_its_onset_on():
    config = SimulationConfig(DAY_MS, 1000.0, fraud_share=0.01, onset_days={Pattern.CARD_TESTING: 2.5})

    assert config.share(Pattern.CARD_TESTING) == pytest.approx(0.01 * DEFAULT_MIX[Pattern.CARD_TESTING])
    assert config.onset_ms(Pattern.CARD_TESTING) == DAY_MS + 2.5 * DAY_MS
    assert config.onset_ms(Pattern.LARGE_ONE_OFF) == 0
