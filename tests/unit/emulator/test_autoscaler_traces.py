"""The decider against decisions recorded from Knative's own autoscaler."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.emulator.autoscaler import AutoscalerConfig, Decider, ScaleSpec

RECORDED = json.loads(Path(__file__).with_name("knative_autoscaler_traces.json").read_text())
BEGIN = 1_800_000_000


@pytest.mark.parametrize("trace", RECORDED["traces"], ids=range(len(RECORDED["traces"])))
def test_every_decision_equals_the_recorded_one(trace: dict[str, Any]) -> None:
    steps = trace.pop("steps")
    rates = {name: trace.pop(name) for name in ("max_scale_up_rate", "max_scale_down_rate")}
    spec = ScaleSpec(
        metric="concurrency",
        initial_scale=1,
        min_scale=0,
        max_scale=0,
        pod_retention=0,
        activation_timeout=610,
        config=AutoscalerConfig(**rates),
        **trace,
    )
    decider = Decider(spec)
    decisions = 0
    for second, (sample, ready, *expected) in enumerate(steps, start=BEGIN):
        if sample is not None:
            decider.record(second, sample)
        if expected:
            decision = decider.decide(second, ready)
            got = [None, None] if decision is None else [decision.desired, decision.excess_burst_capacity]
            assert got == expected, f"second {second - BEGIN}"
            decisions += 1
    assert decisions == len(steps) // 2
