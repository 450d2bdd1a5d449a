"""A challenger out of the lake against a real registry: what passes, what is refused, what is said."""

import mlflow
import numpy as np
import pytest

from functions.train.bootstrap import first_models
from functions.train.errors import NotEnoughData, TrainingRefused
from functions.train.job import ENVIRONMENT
from functions.train.learn import Attempt, train
from functions.train.publish import publish
from functions.train.request import TrainRequest
from functions.train.retrain import lake_dataset
from functions.train.rows import DAY_MS
from functions.train.settings import TrainSettings
from shared.registry.client import RegistryClient
from shared.runs.lease import LeaseLost
from shared.simulation.history import generate_history
from tests.support.lake_tables import MemoryLake, archived, moment
from tests.support.registry.mlflow_server import running_server
from tests.support.training import START_MS

DAYS = 60
NAME = "retrained"


@pytest.fixture(scope="module", autouse=True)
def job_environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def settings():
    return TrainSettings(
        mlflow_tracking_uri=running_server().uri,
        fraud_model_name=NAME,
        fraud_label_horizon_days=7,
        fraud_search_trials=2,
        fraud_challenger_days=0,
        fraud_least_matured_rows=10_000,
        # So little fraud proves little.
        fraud_least_precision=0.3,
        fraud_least_recall=0.05,
        fraud_champion_tolerance=0.5,
    )


@pytest.fixture(scope="module")
def lake():
    traffic = {"label_delay_days": (1.0, 6.0), "fraud_share": 0.05}
    return archived(generate_history(30_000, DAYS, start_ms=START_MS, seed=5, settings=traffic))


@pytest.fixture(scope="module")
def champion(lake, settings):
    """A champion from the same lake, earlier."""
    dataset = lake_dataset(lake, lambda since, until: 0, START_MS + 45 * DAY_MS, settings)
    candidates = first_models(dataset, champion=True, seed=1, settings=settings)[:1]
    return publish(settings.mlflow_tracking_uri, NAME, candidates, dataset)[0]


def ask(lake, settings, mismatches=0, **request):
    return train(TrainRequest(**request), settings, lambda: (lake, lambda since, until: mismatches))


@pytest.fixture(scope="module")
def made(champion, lake, settings):
    """A challenger."""
    [made] = ask(lake, settings, insist=True).registered
    return made


def test_a_challenger_is_registered_with_what_names_its_data(made, settings):
    assert made.alias == "challenger"
    tags = RegistryClient(settings.mlflow_tracking_uri).version_by_alias(NAME, "challenger").tags
    assert tags["gates"] == "passed"
    assert '"decisions": 0' in tags["dataset_versions"]
    run = mlflow.MlflowClient(settings.mlflow_tracking_uri).get_run(made.run_id)
    assert run.data.tags["gate_champion"].startswith("passed: average precision")
    assert run.data.tags["training_data"].startswith("lake: ")


def test_a_challenger_is_left_to_its_shadow_evidence(made, lake, settings):
    client = RegistryClient(settings.mlflow_tracking_uri)
    result = ask(lake, settings.model_copy(update={"fraud_challenger_days": 21}))
    assert result.registered == ()
    assert result.message.startswith(f"challenger {made.version} is left to its shadow evidence until 21 days after")
    assert client.version_by_alias(NAME, "challenger").version == made.version


def test_a_failed_gate_registers_nothing_and_keeps_the_run_with_the_reason(champion, lake, settings):
    client = RegistryClient(settings.mlflow_tracking_uri)
    before = [(version.version, version.aliases) for version in client.versions(NAME)]
    with pytest.raises(TrainingRefused, match=r"challenger refused by its parity gate: 7 feature values differ"):
        ask(lake, settings, mismatches=7)
    assert [(version.version, version.aliases) for version in client.versions(NAME)] == before
    found = mlflow.MlflowClient(settings.mlflow_tracking_uri)
    experiment = found.get_experiment_by_name(NAME).experiment_id
    [run] = found.search_runs([experiment], "tags.gates = 'failed'")
    assert run.data.tags["refused"].startswith("parity gate: 7 feature values differ")
    assert run.data.metrics["gate_parity"] == 7


def test_a_training_that_was_overtaken_registers_nothing(champion, lake, settings):
    def overtaken():
        raise LeaseLost("train was taken over")

    client = RegistryClient(settings.mlflow_tracking_uri)
    before = [(version.version, version.aliases) for version in client.versions(NAME)]
    attempt = Attempt(check_alone=overtaken)
    with pytest.raises(LeaseLost):
        train(TrainRequest(), settings, lambda: (lake, lambda since, until: 0), attempt)
    assert [(version.version, version.aliases) for version in client.versions(NAME)] == before
    assert attempt.inputs["champion"] == champion.version
    assert attempt.inputs["decisions"] == 0


def test_too_few_matured_decisions_are_waited_for_or_said(champion, lake, settings):
    demanding = settings.model_copy(update={"fraud_least_matured_rows": 10**6})
    result = ask(lake, demanding)
    assert result.registered == ()
    assert "older than the label horizon" in result.message
    with pytest.raises(NotEnoughData, match="learning takes 1000000"):
        ask(lake, demanding, insist=True)
    with pytest.raises(NotEnoughData, match="nothing to learn from yet"):
        ask(MemoryLake(), settings, insist=True)


def test_as_of_a_date_only_what_was_known_then_is_learned_from(champion, lake, settings):
    cut = START_MS + 50 * DAY_MS
    easy = settings.model_copy(update={"fraud_least_recall": 0.01, "fraud_champion_tolerance": 0.9})
    ask(lake, easy, as_of=moment(cut), insist=True)
    found = mlflow.MlflowClient(settings.mlflow_tracking_uri)
    experiment = found.get_experiment_by_name(NAME).experiment_id
    newest = found.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=1)[0]
    assert newest.data.tags["dataset_cut"] == "2025-10-21T00:00:00.000Z"
    assert np.isfinite(newest.data.metrics["average_precision"])
