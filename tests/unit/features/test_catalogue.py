import re
import subprocess
import sys
from dataclasses import replace

import pytest

from shared.features.catalogue import CATALOGUE, Catalogue, Settings
from shared.features.definition import DAY_MS, MINUTE_MS
from shared.features.kinds import count
from shared.features.plan import merchant_windows


def test_the_seed_features_are_there_in_order() -> None:
    assert CATALOGUE.names[:11] == (
        "amount",
        "txn_count_10m",
        "txn_count_1h",
        "txn_count_24h",
        "total_amount_10m",
        "avg_amount_24h",
        "distinct_cities_1h",
        "amount_zscore",
        "is_high_risk_merchant",
        "hour_of_day",
        "is_weekend",
    )


def test_request_only_features_need_no_history() -> None:
    assert set(CATALOGUE.request_only) == {"amount", "is_high_risk_merchant", "hour_of_day", "is_weekend"}


def test_every_feature_says_what_it_means_and_how_its_value_reads() -> None:
    for feature in CATALOGUE:
        assert feature.meaning.endswith(".")
        assert feature.unit
        for value in (0, 1, 7, 7.0, 23):
            assert feature.sentence(value)
        if feature.null_when:
            assert feature.sentence(None)
        else:
            with pytest.raises(ValueError, match="null"):
                feature.sentence(None)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("txn_count_10m", 7, "7 transactions in the last 10 minutes"),
        ("txn_count_10m", 1, "the only transaction in the last 10 minutes"),
        ("txn_count_1h", 7.0, "7 transactions in the last hour"),
        ("total_amount_10m", 123_456, "1,234.56 spent in the last 10 minutes"),
        ("amount_zscore", 3.14159, "an amount +3.1 standard deviations from the card's mean"),
        ("is_high_risk_merchant", 0, "a merchant category of ordinary risk"),
        ("is_high_risk_merchant", None, "an unknown merchant category"),
        ("hour_of_day", 3, "the hour of day (03:00 UTC)"),
        ("distinct_cities_1h", 3, "3 different cities in the last hour"),
        ("merchant_txn_count_7d", 12, "12 transactions at the merchant on the latest 7 days with labels"),
        ("merchant_risk_30d", 0.0375, "3.75% fraud at the merchant on the latest 30 days with labels"),
        ("merchant_risk_30d", 0.0, "no fraud known of the merchant on the latest 30 days with labels"),
        ("merchant_risk_1d", None, "no transaction known of the merchant on the latest day with labels"),
    ],
)
def test_sentences(name: str, value: float | None, sentence: str) -> None:
    assert CATALOGUE[name].sentence(value) == sentence


def test_amounts_are_said_in_the_decimals_of_the_currency() -> None:
    assert CATALOGUE["amount"].sentence(1_234, decimals=0) == "an amount of 1,234"
    assert CATALOGUE["amount"].sentence(1_234, decimals=3) == "an amount of 1.234"


def test_version_changes_with_meaning_and_settings_only() -> None:
    first, *rest = CATALOGUE.features
    assert re.fullmatch(r"[0-9a-f]{16}", CATALOGUE.version)
    assert Catalogue((replace(first, meaning="Other words."), *rest)).version == CATALOGUE.version
    assert Catalogue((*rest, first)).version != CATALOGUE.version
    assert Catalogue((*CATALOGUE.features, count("txn_count_2m", 2 * MINUTE_MS))).version != CATALOGUE.version
    settings = Settings(high_risk_categories=("crypto",))
    assert Catalogue(CATALOGUE.features, settings).version != CATALOGUE.version


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two features"):
        Catalogue((*CATALOGUE.features, CATALOGUE.features[0]))


def test_future_tolerance_is_five_minutes() -> None:
    now = 1_700_000_000_000
    assert not CATALOGUE.settings.refuses(now + 5 * MINUTE_MS, now)
    assert CATALOGUE.settings.refuses(now + 5 * MINUTE_MS + 1, now)


@pytest.mark.parametrize("delay_ms", [-DAY_MS, 1, DAY_MS + 1])
def test_a_label_delay_is_whole_days(delay_ms: int) -> None:
    with pytest.raises(ValueError, match="whole number of days"):
        Settings(label_delay_ms=delay_ms)


def test_a_merchant_remembers_what_the_latest_transaction_of_a_card_may_look_at() -> None:
    assert CATALOGUE.settings.label_delay_days == 7
    assert CATALOGUE.settings.merchant_memory_days == 31 + 7 + 30 + 1


@pytest.mark.parametrize("window_ms", [DAY_MS + 1, 31 * DAY_MS])
def test_a_merchants_window_is_whole_days_that_it_remembers(window_ms: int) -> None:
    wrong = replace(CATALOGUE["merchant_risk_7d"], name="merchant_risk", window_ms=window_ms)
    assert merchant_windows(CATALOGUE) == (1, 7, 30)
    with pytest.raises(ValueError, match="1 to 30 whole days"):
        merchant_windows(Catalogue((wrong,)))


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("shared.features.catalogue", ("redis", "duckdb", "pyarrow", "numpy", "pydantic", "confluent_kafka")),
        ("shared.features.online", ("duckdb", "pyarrow", "numpy", "pandas", "hypothesis")),
    ],
)
def test_imports_stay_lean(module: str, foreign: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sorted(set({foreign!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
