"""The decider against decisions that Knative's autoscaler made on a cluster, from 1 replica to 8 and back to 1.

`make verify-knative` and `make kind-autoscale-demo` record such a trace in .fraud/autoscale.json.
"""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from tests.support.knative.autoscaling import Trace, disagreements, told

RECORDED = TypeAdapter(Trace).validate_json(Path(__file__).with_name("cluster_autoscaler_trace.json").read_bytes())


def test_the_emulator_decides_as_the_cluster_did() -> None:
    decisions = [decision.first for found in told(RECORDED.readings).values() for decision in found]
    assert len(decisions) > 50
    assert any(decision.panicking for decision in decisions)
    assert max(decision.ready for decision in RECORDED.readings) == 8
    assert not disagreements(RECORDED)


def test_another_target_would_be_noticed() -> None:
    annotations = RECORDED.annotations | {"autoscaling.knative.dev/target": "4"}
    assert disagreements(replace(RECORDED, annotations=annotations))


def test_a_scale_down_in_a_panic_would_be_noticed() -> None:
    panic = next(
        number for number, reading in enumerate(RECORDED.readings) if reading.panicking and reading.desired > 2
    )
    changed = [*RECORDED.readings]
    changed[panic + 1] = replace(changed[panic], stable=changed[panic].stable + 0.1, panic=0.0, desired=1)
    assert disagreements(replace(RECORDED, readings=changed))
