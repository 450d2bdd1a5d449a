"""What the project's own manifests promise."""

from pathlib import Path

import pytest

from shared.emulator.manifests import Manifests, load_manifests

BASE = Path(__file__).parents[4] / "knative" / "base"


@pytest.fixture(scope="module")
def base() -> Manifests:
    return load_manifests(BASE)


def test_every_file_of_the_base_is_listed(base: Manifests) -> None:
    for_clusters_only = {"namespace.yaml", "service-accounts.yaml", "network-policies.yaml", "disruption-budgets.yaml"}
    assert {Path(file).name for file in base.files.values()} == {
        path.name for path in BASE.glob("*.yaml") if path.name not in {"kustomization.yaml", *for_clusters_only}
    }


def test_scorer_scales_by_concurrency_from_one_to_eight_without_activator(base: Manifests) -> None:
    scaling = base.services["scorer"].autoscaling
    assert (scaling.metric, scaling.target, scaling.min_scale, scaling.max_scale) == ("concurrency", 10, 1, 8)
    assert scaling.target_burst_capacity == 0


def test_training_is_one_at_a_time_and_gone_in_between(base: Manifests) -> None:
    train = base.services["train"]
    assert (train.autoscaling.min_scale, train.autoscaling.max_scale) == (0, 1)
    assert train.spec.template.spec.container_concurrency == 1
    assert base.ping_sources["train-daily"].spec.schedule == "30 2 * * *"


def test_drift_starts_a_training_that_is_given_the_time_it_takes(base: Manifests) -> None:
    source = base.kafka_sources["train-drift"].spec
    assert source.topics == ("fraud.drift",)
    assert source.sink.ref is not None
    assert source.sink.ref.name == "train"
    assert source.delivery is not None
    assert source.delivery.timeout == base.services["train"].spec.template.spec.timeout_seconds


def test_a_store_that_is_away_for_ten_minutes_exhausts_no_retries(base: Manifests) -> None:
    for source in base.kafka_sources.values():
        delivery = source.spec.delivery
        assert delivery is not None
        assert delivery.backoff_policy == "linear"
        waited = sum(delivery.backoff_delay * attempt for attempt in range(1, delivery.retry + 1))
        assert waited >= 600, source.name


def test_sources_keep_their_place_and_dead_letters(base: Manifests) -> None:
    for source in base.kafka_sources.values():
        assert source.spec.consumer_group == f"fraud-{source.name}"
        assert source.spec.initial_offset == "earliest"
        assert source.spec.delivery is not None
        assert source.spec.delivery.timeout is not None
        assert source.spec.delivery.dead_letter_sink is not None
        assert base.kafka_sinks[source.spec.delivery.dead_letter_sink.ref.name].spec.content_mode == "binary"


def test_shadow_yields_to_decisions(base: Manifests) -> None:
    cpu = {name: service.container.resources.requests.cpu or 0 for name, service in base.services.items()}
    assert cpu["shadow-scorer"] <= cpu["scorer"] / 10


def test_images_are_local_names(base: Manifests) -> None:
    for name, service in base.services.items():
        assert service.container.image == f"dev.local/fraud-{name}:1"
