"""Kills processes of the running system under load, and checks that nothing was lost or counted twice.

    make up && python -m tests.e2e.verify_faults --kills 10 --rate 50

Transactions of cards of its own go to the scorer and, as an issuer's switch would send them, to Kafka; each is repeated
until it is acknowledged. Afterwards every card's features must be what the oracle says of the acknowledged
transactions, and every acknowledged decision must be in Kafka.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from confluent_kafka import Producer

from shared.bus import topics
from shared.bus.publisher import producer_settings
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.transaction import Transaction
from shared.telemetry.tracing import start_trace
from tests.e2e.running import BACKING, FUNCTIONS, SILENT, System
from tests.support.features.oracle import Oracle, Tx

TARGETS = (*FUNCTIONS, "delivery", *BACKING)
CITIES = ("Lisbon", "Porto", "Madrid", None)


@dataclass
class Ledger:
    """What the switch has sent and what it was told."""

    acknowledged: list[tuple[Transaction, dict[str, Any]]] = field(default_factory=list)
    attempts: int = 0
    degraded: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0


class Switch:
    """Sends transactions at a fixed rate until it is told to stop, each until it is acknowledged."""

    def __init__(self, system: System, rate: float, seed: int) -> None:
        self.ledger = Ledger()
        self.stopping = asyncio.Event()
        self._url = f"{system.state.scorer_url}/v1/score"
        self._headers = system.headers
        self._rate = rate
        self._random = random.Random(seed)
        self._run = f"{seed}-{time.time_ns() // 1_000_000:x}"
        self._producer = Producer(producer_settings(system.state.kafka, 100_000), logger=SILENT)
        self._session: aiohttp.ClientSession

    async def run(self) -> None:
        started = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=5), headers=self._headers
        ) as self._session:
            number = 0
            while not self.stopping.is_set():
                delay = started + number / self._rate - time.monotonic()
                if delay > 0:
                    await asyncio.sleep(delay)
                task = asyncio.create_task(self._send(self._transaction(number)))
                pending.add(task)
                task.add_done_callback(pending.discard)
                self._producer.poll(0)
                number += 1
            await asyncio.gather(*pending)
        await asyncio.to_thread(self._producer.flush, 60)

    def _transaction(self, number: int) -> Transaction:
        now = time.time_ns() // 1_000_000 - self._random.choice((0, 0, 0, 700_000, 3_700_000))
        city = self._random.choice(CITIES)
        return Transaction.from_event(
            {
                "transaction_id": f"fault-{self._run}-{number}",
                "card_id": f"fault-card-{self._run}-{self._random.randrange(40)}",
                "amount": f"{self._random.randrange(1, 50_000) / 100:.2f}",
                "currency": "EUR",
                "merchant_id": f"m-{self._random.randrange(9)}",
                "merchant_category": "grocery",
                **({"city": city} if city else {}),
                "timestamp": cloudevents.event_time(now),
            }
        )

    async def _send(self, transaction: Transaction) -> None:
        trace = start_trace(sampled=False).traceparent
        wire = transaction.to_wire()
        self._publish(transaction, wire, trace)
        started = time.monotonic()
        while True:
            self.ledger.attempts += 1
            try:
                async with self._session.post(self._url, json=wire, headers={"traceparent": trace}) as response:
                    if response.status == 200:
                        answer = await response.json()
                        break
                    self._failed(f"status {response.status}")
            except (aiohttp.ClientError, TimeoutError) as error:
                self._failed(type(error).__name__)
            await asyncio.sleep(0.1)
        self.ledger.slowest = max(self.ledger.slowest, time.monotonic() - started)
        self.ledger.degraded += answer["degraded"]
        self.ledger.acknowledged.append((transaction, answer))

    def _publish(self, transaction: Transaction, wire: dict[str, Any], trace: str) -> None:
        event = Event(
            transaction.transaction_id, "/verify", cloudevents.TRANSACTION, orjson.dumps(wire),
            subject=transaction.transaction_id, partition_key=transaction.card_id, traceparent=trace,
        )  # fmt: skip
        key, value, headers = cloudevents.to_kafka(event)
        self._producer.produce(topics.TRANSACTIONS, value, key, headers=[*headers])

    def _failed(self, what: str) -> None:
        self.ledger.failures[what] = self.ledger.failures.get(what, 0) + 1


async def kill_all(system: System, kills: int, seed: int) -> dict[str, list[float]]:
    """Kill each target `kills` times at random moments; returns the seconds until each was started again."""
    chance = random.Random(seed + 1)
    plan = [target for target in TARGETS for _ in range(kills)]
    chance.shuffle(plan)
    recovery: dict[str, list[float]] = {target: [] for target in TARGETS}
    for number, target in enumerate(plan, 1):
        await asyncio.sleep(chance.uniform(0.5, 4.0))
        killed = await asyncio.to_thread(system.kill, target, chance.choice)
        seconds = await asyncio.to_thread(system.wait_recovered, target, killed)
        recovery[target].append(seconds)
        print(f"{number}/{len(plan)} kill -9 {target} ({killed}): another in {seconds:.1f} s", file=sys.stderr)
    return recovery


async def check_features(system: System, ledger: Ledger) -> int:
    """Compare each card's features with the oracle's by one probe per card; returns the number of wrong cards."""
    oracle = Oracle()
    for transaction, _ in ledger.acknowledged:
        oracle.record_and_read(_tx(transaction))
    cards = {transaction.card_id: transaction for transaction, _ in ledger.acknowledged}
    now = time.time_ns() // 1_000_000
    wrong = 0
    async with aiohttp.ClientSession(headers=system.headers) as session:
        for card_id, sample in cards.items():
            probe = sample.to_wire() | {
                "transaction_id": f"{sample.transaction_id}-probe",
                "timestamp": cloudevents.event_time(now),
            }
            async with session.post(f"{system.state.scorer_url}/v1/score?details=true", json=probe) as response:
                answer = await response.json()
            _, expected = oracle.record_and_read(_tx(Transaction.from_event(probe)))
            different = {
                name: (answer["features"][name], value)
                for name, value in expected.items()
                if answer["features"][name] != value
            }
            if answer["degraded"] or different:
                wrong += 1
                print(f"{card_id}: degraded={answer['degraded']} (got, expected) {different}")
    return wrong


def _tx(transaction: Transaction) -> Tx:
    return Tx(
        transaction.transaction_id, transaction.card_id, transaction.event_time_ms, transaction.amount_minor,
        transaction.merchant_id, transaction.merchant_category, transaction.city, transaction.country,
        transaction.latitude, transaction.longitude, transaction.channel,
    )  # fmt: skip


async def verify(kills: int, rate: float, seed: int) -> bool:
    """Run the whole check; returns whether every promise held."""
    system = System.find()
    decisions_before = system.end_offsets(topics.DECISIONS)
    letters_before = system.end_offsets(topics.DEAD_LETTERS)
    switch = Switch(system, rate, seed)
    sending = asyncio.create_task(switch.run())
    await asyncio.sleep(2)
    recovery = await kill_all(system, kills, seed)
    await asyncio.sleep(5)
    switch.stopping.set()
    await sending
    ledger = switch.ledger
    await asyncio.to_thread(system.wait_delivered, 180)
    await asyncio.sleep(2)

    wanted = {answer["decision_id"] for _, answer in ledger.acknowledged}
    wait_until = time.monotonic() + 60
    while True:
        found = {
            orjson.loads(message.value())["decision_id"]
            for message in system.records(topics.DECISIONS, decisions_before)
        }
        if wanted <= found or time.monotonic() > wait_until:
            break
        await asyncio.sleep(1)
    dropped = system.metric("scorer", "fraud_events_dropped_total")
    letters = [
        dict(message.headers() or []).get("ce_subject", b"")
        for message in system.records(topics.DEAD_LETTERS, letters_before)
    ]
    ours = sum(1 for subject in letters if subject.startswith(b"fault-"))
    wrong = await check_features(system, ledger)
    status = system.status()
    unhealthy = [name for name, service in status["services"].items() if service["failure"]]

    print(f"seed {seed}: {sum(map(len, recovery.values()))} kills under {rate:g} TPS")
    for target, seconds in recovery.items():
        print(f"  {target}: {len(seconds)} kills, another process after {max(seconds):.1f} s at most")
    answered = len(ledger.acknowledged)
    print(f"{answered} transactions acknowledged in {ledger.attempts} attempts, {ledger.degraded} degraded,")
    print(f"  the slowest after {ledger.slowest:.1f} s; failures on the way: {ledger.failures or 'none'}")
    print(f"{len(wanted - found)} acknowledged decisions missing in Kafka; {dropped:.0f} events dropped by the bound")
    print(f"{wrong} cards with features that differ from the oracle; {ours} of our events in dead letters")
    print(f"unhealthy functions: {', '.join(unhealthy) or 'none'}")
    return not (wanted - found) and not wrong and not ours and not unhealthy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="kills of each process kind")
    parser.add_argument("--rate", type=float, default=50, help="transactions per second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return 0 if asyncio.run(verify(options.kills, options.rate, options.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
