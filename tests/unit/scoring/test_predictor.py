import math
import subprocess
import sys

import numpy as np
import pytest

from shared.scoring.bundle import read_bundle
from shared.scoring.calibration import Platt, sigmoid
from shared.scoring.errors import BundleError
from shared.scoring.predictor import Predictor
from tests.support.scoring.small_bundle import Rule, score_of, small_bundle

FEATURES = ("amount", "txn_count_10m")
RULES = (Rule("amount", 100, 3.0), Rule("txn_count_10m", 4, 2.0))


@pytest.fixture
def main():
    return read_bundle(small_bundle(features=FEATURES, request_only=FEATURES[:1], rules=RULES)).main


@pytest.mark.parametrize("amount", [None, 0.0, 99.0, 100.0, 5000.0])
@pytest.mark.parametrize("count", [None, 1.0, 4.0])
def test_score_follows_the_rules(main, amount, count):
    row = np.array([[math.nan if value is None else value for value in (amount, count)]], np.float32)
    wanted = score_of({"amount": amount, "txn_count_10m": count}, RULES)
    assert main.predictor.score(row)[0] == pytest.approx(wanted, abs=1e-6)


def test_scores_are_float64_and_have_seven_decimals(main):
    scores = main.predictor.score(np.array([[150, 1], [20, 9]], np.float32))
    assert scores.dtype == np.float64
    assert all(score == round(score, 7) for score in scores.tolist())


def test_no_rows_give_no_scores(main):
    nothing = np.empty((0, 2), np.float32)
    assert main.predictor.score(nothing).shape == (0,)
    assert main.predictor.contributions(nothing).shape == (0, 3)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float64), np.zeros(2, np.float32)],
    ids=["width", "type", "one dimension"],
)
def test_another_matrix_is_refused(main, matrix):
    with pytest.raises(ValueError, match="float32 matrix of 2 columns"):
        main.predictor.score(matrix)
    with pytest.raises(ValueError, match="float32 matrix of 2 columns"):
        main.predictor.contributions(matrix)


def test_calibration_changes_the_score_and_not_the_margin():
    plain = read_bundle(small_bundle(features=FEATURES, request_only=FEATURES[:1], rules=RULES)).main
    curved = read_bundle(
        small_bundle(features=FEATURES, request_only=FEATURES[:1], rules=RULES, calibration=Platt(0.5, -1.0))
    ).main
    row = np.array([[150, 9]], np.float32)
    margin = float(plain.predictor.margins(row)[0])
    assert curved.predictor.margins(row)[0] == plain.predictor.margins(row)[0]
    assert curved.predictor.score(row)[0] == pytest.approx(sigmoid(0.5 * margin - 1), abs=1e-7)


def test_a_graph_that_is_none_is_refused():
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Predictor(b"junk", b"junk", FEATURES)


def test_serving_imports_neither_training_nor_registry_libraries():
    """The scorer's cold start pays for every import below it."""
    program = (
        "import sys, shared.scoring.bundle, shared.scoring.reasons, shared.scoring.policy;"
        "heavy = {'onnx', 'xgboost', 'sklearn', 'pandas', 'mlflow', 'pyarrow', 'scipy', 'pydantic', 'urllib3'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_runtime_reports_nothing_to_its_maker():
    # Its reporting begins at the import with an identifier in the home folder; one that cannot be written is said.
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    command = [sys.executable, "-c", "import shared.scoring.predictor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "telemetry" not in done.stderr
