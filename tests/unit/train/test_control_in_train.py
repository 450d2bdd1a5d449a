import numpy as np
import pyarrow as pa
import pytest

from functions.train.control import fair_sample


def decisions(verdicts, control=None, propensity=None):
    columns = {"decision": verdicts, "number": list(range(len(verdicts)))}
    if control is not None:
        columns |= {"control": pa.array(control, pa.bool_()), "propensity": pa.array(propensity, pa.float64())}
    return pa.table(columns)


def test_without_a_control_group_all_are_kept_and_a_decline_is_silent():
    kept, weight, silent = fair_sample(decisions(["approve", "decline", "review"]))
    assert kept.column("number").to_pylist() == [0, 1, 2]
    assert weight.tolist() == [1, 1, 1]
    assert silent.tolist() == [False, True, False]


def test_the_control_group_stands_for_all_would_be_declines():
    table = decisions(["approve", "decline", "approve", "review"], [False, False, True, None], [None, None, 0.05, None])
    kept, weight, silent = fair_sample(table)
    assert kept.column("number").to_pylist() == [0, 2, 3]
    assert weight == pytest.approx([1, 20, 1])
    assert not silent.any()


def test_weighted_control_rows_are_as_many_as_the_declines_they_stand_for():
    rng = np.random.default_rng(1)
    would_decline = rng.random(50_000) < 0.2
    let_through = would_decline & (rng.random(50_000) < 0.1)
    verdicts = np.where(would_decline & ~let_through, "decline", "approve")
    kept, weight, _ = fair_sample(decisions(verdicts.tolist(), let_through, np.where(let_through, 0.1, np.nan)))
    control = np.asarray(kept.column("control"))
    assert weight[control].sum() == pytest.approx(would_decline.sum(), rel=0.1)


@pytest.mark.parametrize("chance", [0.0, 1.5, None])
def test_a_control_decision_without_a_chance_is_an_error(chance):
    with pytest.raises(ValueError, match="propensity"):
        fair_sample(decisions(["approve"], [True], [chance]))
