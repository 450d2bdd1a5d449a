"""Pods are killed at random under load: nothing may be lost, nothing counted twice.

The load, the oracle of the features and the search for missing decisions are those of `tests.e2e.verify_faults`.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import orjson
import urllib3

from shared.bus import topics
from tests.e2e.knative.cluster import KAFKA_PORT, SERVICE_LABEL, Cluster, Object, is_ready, until
from tests.e2e.knative.load import SCORER
from tests.e2e.running import System
from tests.e2e.verify_faults import Ledger, Switch, check_features

TARGETS = {
    "scorer": f"{SERVICE_LABEL}=scorer",
    "feature-updater": f"{SERVICE_LABEL}=feature-updater",
    "shadow-scorer": f"{SERVICE_LABEL}=shadow-scorer",
    "dispatcher": "app=dispatcher",
    "kafka": "app=kafka",
    "redis": "app=redis",
    "mlflow": "app=mlflow",
    "s3": "app=s3",
}
GROUPS = {
    "fraud-feature-updater-transactions": topics.TRANSACTIONS,
    "fraud-shadow-scorer-decisions": topics.DECISIONS,
}
RECOVERY_SECONDS = 180
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class _Addresses:
    """What of a running system's state the load needs."""

    scorer_url: str
    kafka: str


def pods_killed(cluster: Cluster, kills: int, rate: float, seed: int) -> bool:
    """Kill pods under load; returns whether nothing was lost or doubled."""
    with cluster.forwarded("svc/kafka", KAFKA_PORT, KAFKA_PORT):
        addresses: Any = _Addresses(cluster.ingress, f"127.0.0.1:{KAFKA_PORT}")
        system = System(addresses, urllib3.PoolManager(), {"host": cluster.host(SCORER)})
        return asyncio.run(_kill(cluster, system, kills, rate, seed))


async def _kill(cluster: Cluster, system: System, kills: int, rate: float, seed: int) -> bool:
    decisions_before = system.end_offsets(topics.DECISIONS)
    letters_before = system.end_offsets(topics.DEAD_LETTERS)
    switch = Switch(system, rate, seed)
    sending = asyncio.create_task(switch.run())
    await asyncio.sleep(2)
    await asyncio.to_thread(_kill_all, cluster, kills, seed)
    await asyncio.sleep(5)
    switch.stopping.set()
    await sending
    ledger = switch.ledger
    await asyncio.to_thread(_wait_delivered, system)
    missing = await asyncio.to_thread(_missing, system, ledger, decisions_before)
    letters = await asyncio.to_thread(lambda: [*system.records(topics.DEAD_LETTERS, letters_before)])
    ours = sum(dict(one.headers() or []).get("ce_subject", b"").startswith(b"fault-") for one in letters)
    wrong = await check_features(system, ledger)
    print(f"{kills} pods killed under {rate:g}/s: {len(ledger.acknowledged)} transactions acknowledged in")
    print(f"  {ledger.attempts} attempts, {ledger.degraded} degraded, the slowest after {ledger.slowest:.1f} s;")
    print(f"  failures on the way: {ledger.failures or 'none'}")
    print(f"{missing} acknowledged decisions missing in Kafka, {wrong} cards that differ from the oracle,")
    print(f"  {ours} events in the dead letters")
    return not missing and not wrong and not ours


def _kill_all(cluster: Cluster, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    there = [name for name, selector in TARGETS.items() if cluster.pods(selector)]
    plan = [there[number % len(there)] for number in range(kills)]
    chance.shuffle(plan)
    for number, target in enumerate(plan, 1):
        time.sleep(chance.uniform(1.0, 4.0))
        ready = [pod for pod in cluster.pods(TARGETS[target]) if is_ready(pod)]
        pod = chance.choice(ready)
        name = pod["metadata"]["name"]
        began = time.monotonic()
        # No grace: the pod's processes end at once, and with them its scratch folder.
        cluster.kubectl("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
        until(lambda one=target, gone=pod: _replaced(cluster, one, gone), RECOVERY_SECONDS, f"another {target}")
        print(f"{number}/{kills} {name}: another ready after {time.monotonic() - began:.1f} s", flush=True)


def _replaced(cluster: Cluster, target: str, gone: Object) -> bool:
    pods = cluster.pods(TARGETS[target])
    return any(is_ready(pod) and pod["metadata"]["uid"] != gone["metadata"]["uid"] for pod in pods)


def _wait_delivered(system: System) -> None:
    """Wait until the sources' groups have committed what stands in their topics now."""
    wanted = {group: system.end_offsets(topic) for group, topic in GROUPS.items()}

    def done() -> bool:
        for group, ends in wanted.items():
            committed = system.committed(group, GROUPS[group])
            if any(end and committed.get(partition, 0) < end for partition, end in ends.items()):
                return False
        return True

    until(done, PATIENCE_SECONDS, "the Kafka sources to catch up")


def _missing(system: System, ledger: Ledger, before: dict[int, int]) -> int:
    """Acknowledged decisions that are not in Kafka a minute later."""
    wanted = {answer["decision_id"] for _, answer in ledger.acknowledged}
    deadline = time.monotonic() + 60
    while True:
        found = {orjson.loads(one.value())["decision_id"] for one in system.records(topics.DECISIONS, before)}
        if wanted <= found or time.monotonic() > deadline:
            return len(wanted - found)
        time.sleep(1)
