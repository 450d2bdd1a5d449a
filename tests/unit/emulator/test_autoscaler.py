"""Traces computed by hand from the algorithm as knative/serving states it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.emulator.autoscaler import Activity, AutoscalerConfig, Decider, Decision, Scaler, ScaleSpec
from shared.emulator.manifests import load_manifests
from tests.support.emulator.manifests import service, write

KNATIVE = AutoscalerConfig()


@pytest.fixture
def resolve(tmp_path: Path) -> Any:
    def build(config: AutoscalerConfig = KNATIVE, **annotations: Any) -> ScaleSpec:
        return ScaleSpec.resolve(load_manifests(write(tmp_path, service(**annotations))).services["tiny"], config)

    return build


def feed(decider: Decider, samples: Iterable[tuple[float, float]]) -> None:
    for now, value in samples:
        decider.record(now, value)


class TestResolution:
    def test_defaults_are_the_clusters(self, resolve: Any) -> None:
        spec = resolve()
        assert (spec.target, spec.total) == (70, 100)
        assert (spec.stable_window, spec.panic_window, spec.panic_threshold) == (60, 6, 2)
        assert (spec.min_scale, spec.max_scale, spec.initial_scale) == (0, 0, 1)

    def test_target_is_reached_at_seventy_percent(self, resolve: Any) -> None:
        assert resolve(target="10").target == 7

    def test_utilisation_can_be_given(self, resolve: Any) -> None:
        assert resolve(target="10", target_utilization_percentage="90").target == 9

    def test_hard_limit_bounds_the_target(self, resolve: Any) -> None:
        spec = resolve(target="10", spec={"containerConcurrency": 4})
        assert (spec.target, spec.total) == (pytest.approx(2.8), 4)

    def test_target_is_never_below_one(self, resolve: Any) -> None:
        assert resolve(spec={"containerConcurrency": 1}).target == 1

    def test_requests_per_second_have_their_own_default(self, resolve: Any) -> None:
        assert resolve(metric="rps").target == 140

    def test_panic_window_is_at_least_a_second(self, resolve: Any) -> None:
        assert resolve(window="6s").panic_window == 1


class TestDecider:
    def test_no_sample_no_decision(self, resolve: Any) -> None:
        assert Decider(resolve()).decide(0, ready=1) is None

    def test_steady_load_is_divided_by_the_target(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10"))
        feed(decider, ((second, 10) for second in range(60)))
        decision = decider.decide(59, ready=1)
        # 10 / 7 = 1.43 -> 2 replicas; panic 2 / 1 ready >= 2: it panics, with the same number
        assert decision == Decision(desired=2, panicking=True, stable=10, panic=10, excess_burst_capacity=-200)

    def test_burst_panics_and_is_served_by_the_panic_window(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10"))
        feed(decider, ((second, 1) for second in range(54)))
        feed(decider, ((second, 50) for second in range(54, 60)))
        decision = decider.decide(59, ready=1)
        assert decision is not None
        # stable (54 * 1 + 6 * 50) / 60 = 5.9 -> 1; panic 50 / 7 -> 8, and 8 / 1 >= 2
        assert (decision.stable, decision.panic) == (5.9, 50)
        assert (decision.desired, decision.panicking) == (8, True)

    def test_panic_never_scales_down_and_ends_after_a_stable_window(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10"))
        feed(decider, ((second, 50) for second in range(6)))
        assert decider.decide(6, ready=1).desired == 8  # type: ignore[union-attr]
        desired = {}
        for second in range(6, 80):
            decider.record(second, 0)
            if second % 2 == 0:
                decision = decider.decide(second, ready=8)
                assert decision is not None
                desired[second] = (decision.desired, decision.panicking)
        # with 8 ready the threshold 2 is not reached again, so the panic of second 6 ends after second 66
        assert desired[66] == (8, True)
        assert desired[68] == (4, False)  # at most halved: floor(8 / 2)

    def test_scale_down_is_at_most_halving(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10"))
        feed(decider, ((second, 0) for second in range(60)))
        assert [decider.decide(59, ready=ready).desired for ready in (8, 5, 3, 2, 1)] == [4, 2, 1, 1, 0]  # type: ignore[union-attr]

    def test_scale_up_is_bounded_by_its_rate(self, resolve: Any) -> None:
        decider = Decider(resolve(replace(KNATIVE, max_scale_up_rate=2), target="1"))
        feed(decider, ((second, 100) for second in range(60)))
        assert decider.decide(59, ready=3).desired == 6  # type: ignore[union-attr]

    def test_any_demand_starts_the_activation_scale(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10", activation_scale="3"))
        decider.record(0, 1)
        assert decider.decide(0, ready=0).desired == 3  # type: ignore[union-attr]
        idle = Decider(resolve(target="10", activation_scale="3"))
        idle.record(0, 0)
        assert idle.decide(0, ready=1).desired == 0  # type: ignore[union-attr]

    def test_scale_down_waits_for_the_delay(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10", window="6s", scale_down_delay="4s"))
        feed(decider, ((second, 14) for second in range(6)))
        seen = []
        for second in range(6, 30, 2):
            feed(decider, ((second, 0), (second + 1, 0)))
            seen.append(decider.decide(second + 1, ready=3).desired)  # type: ignore[union-attr]
        # seconds 7, 9, 11: averages 56/6, 28/6, 0 -> 2, 1, 1 (floor(3 / 2) = 1); each held for two ticks
        assert seen[:4] == [2, 2, 1, 1]

    def test_observer_that_finds_several_replicas_begins_in_panic(self, resolve: Any) -> None:
        decider = Decider(resolve(target="10"), ready=5, now=0)
        decider.record(1, 0)
        assert decider.decide(2, ready=5) == Decision(5, panicking=True, stable=0, panic=0, excess_burst_capacity=-150)

    def test_excess_burst_capacity(self, resolve: Any) -> None:
        for burst, excess in (("0", 0), ("-1", -1), ("15", 2)):
            decider = Decider(resolve(target="10", target_burst_capacity=burst))
            decider.record(0, 3)
            assert decider.decide(0, ready=2).excess_burst_capacity == excess  # type: ignore[union-attr]


def wish(desired: int, excess: int = 0) -> Decision:
    return Decision(desired, panicking=False, stable=0, panic=0, excess_burst_capacity=excess)


class TestScaler:
    def test_bounds(self, resolve: Any) -> None:
        scaler = Scaler(resolve(min_scale="2", max_scale="4"))
        assert [scaler.reconcile(0, wish(desired), ready=2) for desired in (0, 1, 3, 9)] == [2, 2, 3, 4]

    def test_before_the_first_sample_the_minimum_runs(self, resolve: Any) -> None:
        assert Scaler(resolve(min_scale="1")).reconcile(0, None, ready=0) == 1

    def test_initial_scale_holds_until_it_was_reached(self, resolve: Any) -> None:
        scaler = Scaler(resolve(initial_scale="3"))
        assert scaler.initial == 3
        assert scaler.reconcile(0, wish(1), ready=1) == 3
        assert scaler.reconcile(2, wish(1), ready=3) == 3
        assert scaler.reconcile(4, wish(1), ready=3) == 1

    def test_last_wish_holds_while_there_is_no_sample(self, resolve: Any) -> None:
        scaler = Scaler(resolve())
        assert scaler.reconcile(0, wish(3), ready=1) == 3
        assert scaler.reconcile(2, None, ready=3) == 3

    def test_way_to_zero_takes_stable_window_and_grace_period(self, resolve: Any) -> None:
        """Activator not in the path (burst capacity 0): 60 s active, then 30 s of requests being held."""
        scaler = Scaler(resolve(target_burst_capacity="0"))
        scaler.reconcile(0, wish(1), ready=0)
        scaler.reconcile(10, wish(1), ready=1)
        assert scaler.activity is Activity.ACTIVE
        assert scaler.reconcile(60, wish(0), ready=1) == 1  # active for 50 s only
        assert scaler.reconcile(70, wish(0), ready=1) is None
        assert scaler.activity is Activity.INACTIVE
        assert scaler.reconcile(98, wish(0), ready=1) is None
        assert scaler.reconcile(100, wish(0), ready=1) == 0

    def test_already_held_requests_shorten_the_grace_period(self, resolve: Any) -> None:
        """Activator in the path all the time (negative excess): zero at the next look after becoming inactive."""
        scaler = Scaler(resolve())
        scaler.reconcile(0, wish(1, -1), ready=1)
        assert scaler.reconcile(60, wish(0, -1), ready=1) is None
        assert scaler.reconcile(62, wish(0, -1), ready=1) == 0

    def test_last_pod_is_retained(self, resolve: Any) -> None:
        scaler = Scaler(resolve(scale_to_zero_pod_retention_period="2m"))
        scaler.reconcile(0, wish(1, -1), ready=1)
        scaler.reconcile(60, wish(0, -1), ready=1)
        assert scaler.reconcile(178, wish(0, -1), ready=1) is None
        assert scaler.reconcile(180, wish(0, -1), ready=1) == 0

    def test_request_on_the_way_to_zero_turns_back(self, resolve: Any) -> None:
        scaler = Scaler(resolve(target_burst_capacity="0"))
        scaler.reconcile(0, wish(1), ready=1)
        scaler.reconcile(60, wish(0), ready=1)
        assert scaler.reconcile(62, wish(1), ready=1) == 1
        assert scaler.activity is Activity.ACTIVE
        assert scaler.reconcile(100, wish(0), ready=1) == 1

    def test_zero_can_be_forbidden(self, resolve: Any) -> None:
        scaler = Scaler(resolve(replace(KNATIVE, enable_scale_to_zero=False)))
        assert scaler.reconcile(1000, wish(0), ready=1) == 1

    def test_what_never_becomes_ready_is_given_up_after_the_deadline(self, resolve: Any) -> None:
        scaler = Scaler(resolve())
        assert scaler.reconcile(1, wish(0, -1), ready=0) is None
        assert scaler.reconcile(610, wish(0, -1), ready=0) == 0

    def test_zero_initial_scale_starts_nothing_until_asked(self, resolve: Any) -> None:
        scaler = Scaler(resolve(replace(KNATIVE, initial_scale=0)))
        assert scaler.initial == 0
        assert scaler.reconcile(0, None, ready=0) is None
        assert scaler.activity is Activity.INACTIVE
        assert scaler.reconcile(2, wish(1), ready=0) == 1
        assert scaler.activity is Activity.ACTIVATING
