from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from functions.producer.settings import ProducerSettings, ProgramSettings
from shared.simulation.config import Pattern


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "SCORER_URL", "PORT", "FRAUD_PRODUCER_RATE", "FRAUD_PRODUCER_PATTERN"):
        monkeypatch.delenv(name, raising=False)


def test_ten_transactions_per_second_at_the_clocks_own_speed_by_default():
    settings = ProducerSettings()

    assert (settings.rate, settings.speedup, settings.count, settings.score) == (10.0, 1.0, None, True)
    assert settings.label_delay_days == (2.0, 14.0)
    assert settings.port is None


def test_the_environment_sets_everything(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("SCORER_URL", "http://scorer")
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("FRAUD_PRODUCER_RATE", "25")
    monkeypatch.setenv("FRAUD_PRODUCER_PATTERN", "card_testing=0.5, large_one_off=0@3")
    settings = ProgramSettings.from_arguments([])

    assert (settings.kafka_bootstrap_servers, settings.scorer_url, settings.port) == (
        "kafka:9092",
        "http://scorer",
        8080,
    )
    assert settings.rate == 25
    assert settings.shares == {Pattern.CARD_TESTING: 0.5, Pattern.LARGE_ONE_OFF: 0.0}
    assert settings.onset_days == {Pattern.LARGE_ONE_OFF: 3.0}


def test_options_go_before_the_environment(monkeypatch):
    monkeypatch.setenv("FRAUD_PRODUCER_RATE", "25")
    options = (
        "--rate 3 --no-score --json --pattern card_testing=0.4 --pattern account_takeover=.1@40 --label-delay 30s-5m "
        "--start 2026-01-15T12:00:00+01:00 --kafka-bootstrap-servers there:1"
    )
    settings = ProgramSettings.from_arguments(options.split())

    assert (settings.rate, settings.score, settings.json_output) == (3, False, True)
    assert settings.shares == {Pattern.CARD_TESTING: 0.4, Pattern.ACCOUNT_TAKEOVER: 0.1}
    assert settings.onset_days == {Pattern.ACCOUNT_TAKEOVER: 40.0}
    assert settings.label_delay_days == pytest.approx((30 / 86_400, 300 / 86_400))
    assert settings.start == datetime(2026, 1, 15, 11, tzinfo=UTC)
    assert settings.kafka_bootstrap_servers == "there:1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0),
        ("speedup", 0.5),
        ("count", 0),
        ("fraud_share", 0.9),
        ("pattern", ("moon_landing=0.1",)),
        ("pattern", ("card_testing",)),
        ("pattern", ("card_testing=0.9", "large_one_off=0.9")),
        ("label_delay", "soon"),
        ("label_delay", "5d-2d"),
        ("start", "2026-01-15T12:00:00"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(ValidationError) as refused:
        ProducerSettings(**{name: value})

    assert refused.value.errors()[0]["loc"][0] == name
