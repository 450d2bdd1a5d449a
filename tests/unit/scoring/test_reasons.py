import pytest

from shared.scoring.reasons import Reason, top_reasons

FEATURES = ("amount", "txn_count_10m", "distinct_cities_1h", "is_weekend", "hour_of_day")
VALUES = (250_000, 7, None, 1, 3)


def test_the_strongest_three_that_raised_the_score():
    reasons = top_reasons(FEATURES, VALUES, [0.5, 2.123456, 1.0, -3.0, 0.4, -5.0])
    assert reasons == [
        Reason("txn_count_10m", "7 transactions in the last 10 minutes.", 2.1235),
        Reason("distinct_cities_1h", "No known city in the last hour.", 1.0),
        Reason("amount", "An amount of 2,500.00.", 0.5),
    ]


def test_what_lowered_the_score_is_no_reason():
    assert top_reasons(FEATURES, VALUES, [-1.0, -0.1, 0.0, -2.0, -0.3]) == []


def test_a_tiny_share_is_no_reason():
    assert [r.feature for r in top_reasons(FEATURES, VALUES, [0.04, 1.0, 0.0, 0.0, 0.0])] == ["txn_count_10m"]


def test_the_bias_is_no_reason():
    assert top_reasons(FEATURES, VALUES, [0.0, 0.0, 0.0, 0.0, 0.0, 9.0]) == []


def test_ties_keep_the_vector_order():
    reasons = top_reasons(FEATURES, VALUES, [1.0, 1.0, 0.0, 1.0, 1.0])
    assert [reason.feature for reason in reasons] == ["amount", "txn_count_10m", "is_weekend"]


def test_a_feature_without_words_is_an_error():
    with pytest.raises(KeyError):
        top_reasons(["mystery"], [1.0], [1.0])
