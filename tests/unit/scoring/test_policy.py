import math

import pytest

from shared.scoring.policy import Policy

POLICY = Policy(decline_at=0.9, review_at=0.4)


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0.0, "approve"),
        (0.39999999, "approve"),
        (0.4, "review"),
        (0.89999999, "review"),
        (0.9, "decline"),
        (1.0, "decline"),
    ],
)
def test_a_score_at_a_threshold_has_reached_it(score, decision):
    assert POLICY.decide(score) == decision


def test_without_a_threshold_its_decision_is_never_made():
    assert Policy(decline_at=None, review_at=0.4).decide(1.0) == "review"
    assert Policy(decline_at=0.9, review_at=None).decide(0.8) == "approve"
    assert Policy(decline_at=None, review_at=None).decide(1.0) == "approve"


def test_not_a_number_decides_nothing():
    with pytest.raises(ValueError, match="not a number"):
        POLICY.decide(math.nan)


@pytest.mark.parametrize(("decline_at", "review_at"), [(0.0, None), (1.1, 0.5), (0.5, 0.6), (0.9, -0.1)])
def test_thresholds_that_make_no_sense_are_refused(decline_at, review_at):
    with pytest.raises(ValueError, match="_at"):
        Policy(decline_at, review_at)


def test_version_names_the_thresholds():
    assert POLICY.version == Policy(0.9, 0.4).version
    others = {Policy(0.9, 0.41).version, Policy(0.91, 0.4).version, Policy(None, 0.4).version, POLICY.version}
    assert len(others) == 4
    assert len(POLICY.version) == 12
