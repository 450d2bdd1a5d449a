import pytest

from shared.cli import figures
from shared.cli.figures import sum_by, sum_metric

SCORER = """\
# HELP fraud_predictions_total Decisions answered.
# TYPE fraud_predictions_total counter
fraud_predictions_total{decision="approve",model_version="2"} 95.0
fraud_predictions_total{decision="review",model_version="2"} 3.0
fraud_predictions_total{decision="approve",model_version="3"} 1.0
fraud_predictions_total{decision="decline",model_version="3"} 1.0
# HELP fraud_degraded_total Decisions answered without the card's history.
# TYPE fraud_degraded_total counter
fraud_degraded_total{reason="timeout"} 2.0
fraud_degraded_total{reason="unreachable"} 5.0
"""

SHADOW = """\
# HELP fraud_shadow_compared_total Decisions compared, each once.
# TYPE fraud_shadow_compared_total counter
fraud_shadow_compared_total{champion="2",challenger="1",alert="no",agree="yes"} 1000.0
fraud_shadow_compared_total{champion="2",challenger="10",alert="no",agree="yes"} 90.0
fraud_shadow_compared_total{champion="2",challenger="10",alert="yes",agree="yes"} 6.0
fraud_shadow_compared_total{champion="2",challenger="10",alert="yes",agree="no"} 4.0
"""


def test_samples_are_added_up_by_label() -> None:
    assert sum_metric(SCORER, "fraud_predictions_total") == 100
    assert sum_metric(SCORER, "fraud_predictions_total", decision="approve") == 96
    assert sum_metric(SCORER, "fraud_absent_total") == 0
    assert sum_by(SCORER, "fraud_predictions_total", "model_version") == {"2": 98, "3": 2}


def test_decisions_and_their_shares() -> None:
    decisions = figures._decisions(SCORER)
    assert decisions["total"] == 100
    assert decisions["by_decision"] == {"approve": 96, "review": 3, "decline": 1}
    assert decisions["degraded"] == 7
    assert figures._alert_share(decisions) == pytest.approx(0.04)
    assert figures._alert_share(figures._decisions("")) is None


def test_agreement_is_that_of_the_latest_pair_of_models_alone() -> None:
    shadow = figures._shadow(SHADOW)
    assert (shadow["champion"], shadow["challenger"]) == ("2", "10")
    assert shadow["compared"] == 100
    assert shadow["agreement_percent"] == pytest.approx(96.0)
    assert shadow["alerts"] == 10
    assert shadow["alert_agreement_percent"] == pytest.approx(60.0)


def test_no_comparison_is_no_agreement() -> None:
    assert figures._shadow("")["agreement_percent"] is None


def test_lag_belongs_to_the_function_its_source_sends_to() -> None:
    def service(port: int) -> dict[str, object]:
        return {
            "url": f"http://127.0.0.1:{port}", "desired": 1, "ready": 1, "restarts": 0, "failure": None, "replicas": [],
        }  # fmt: skip

    sources = {
        "transactions": {"sink": "http://127.0.0.1:8001/", "lag": 3},
        "labels": {"sink": "http://127.0.0.1:8001/", "lag": 4},
    }
    delivery = {"desired": 1, "ready": True, "restarts": 2, "failure": None, "replicas": [], "kafka_sources": sources}
    status = {"services": {"scorer": service(8000), "updater": service(8001)}, "programs": {}, "delivery": delivery}
    entries = {entry["name"]: entry for entry in figures._functions(status)}
    assert entries["updater"]["lag"] == 7
    assert entries["scorer"]["lag"] is None
    assert entries["delivery"]["restarts"] == 2
