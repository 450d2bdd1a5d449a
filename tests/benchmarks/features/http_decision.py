"""Latency of a whole decision over HTTP by the size of the card."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from shared.contracts.transaction import Transaction
from shared.registry.disk_copy import DiskCopy, StoredModel
from tests.benchmarks.features.cards import NEWEST_MS, Shape, transactions
from tests.benchmarks.features.sizes import percentile
from tests.benchmarks.features.store import Store
from tests.benchmarks.figure import Figure
from tests.support.features.oracle import DAY, Tx
from tests.support.features.valkey import free_port
from tests.support.scoring.small_bundle import small_bundle
from tests.support.servers import FunctionProcess

_SMALL, _LARGE = 10, 10_000


def tail(store: Store, folder: Path, calls: int) -> Figure:
    """p99 of decisions of cards with 10,000 transactions over that of cards with 10, in turn on one connection."""
    rng = random.Random(5)
    shift = int(time.time() * 1000) - NEWEST_MS - 10 * DAY
    bodies: dict[int, list[bytes]] = {}
    for size in (_SMALL, _LARGE):
        shape, further = Shape(size, "30 d"), max(2, size // 20)
        cards = [transactions(shape, further, rng, f"http-{size}-{k}") for k in range(-(-calls // further))]
        held = [Transaction.model_validate(_wire(tx, shift)) for one in cards for tx in one[:size]]
        store.record(held)
        turns = [one[size + turn] for turn in range(further) for one in cards]
        bodies[size] = [json.dumps(_wire(tx, shift)).encode() for tx in turns[:calls]]
    took: dict[int, list[float]] = {_SMALL: [], _LARGE: []}
    with _scorer(store, folder) as scorer:
        warm = transactions(Shape(300, "30 d"), 0, rng, "http-warm")
        for tx in warm:
            _decide(scorer.http, scorer.url, json.dumps(_wire(tx, shift)).encode())
        for pair in zip(bodies[_SMALL], bodies[_LARGE], strict=True):
            for size, body in zip((_SMALL, _LARGE), pair, strict=True):
                took[size].append(_decide(scorer.http, scorer.url, body))
    p99 = {size: percentile(times, 99) for size, times in took.items()}
    p50 = {size: percentile(times, 50) for size, times in took.items()}
    return Figure(
        name=f"HTTP decision, p99 at {_LARGE:,} over p99 at {_SMALL}",
        value=round(p99[_LARGE] / p99[_SMALL], 2),
        unit="x",
        bound="<=",
        target=1.3,
        how=f"{calls:,} decisions each on one connection, in turn, one scorer; p99 {p99[_LARGE]:.2f} and "
        f"{p99[_SMALL]:.2f} ms, p50 {p50[_LARGE]:.2f} and {p50[_SMALL]:.2f} ms",
    )


@contextmanager
def _scorer(store: Store, folder: Path) -> Iterator[FunctionProcess]:
    """A scorer with a small model from a disk copy; no registry, no broker."""
    bundle = small_bundle()
    stored = StoredModel("1", "benchmark", hashlib.sha256(bundle).hexdigest(), bundle)
    DiskCopy(folder / "state" / "models" / "fraud" / "champion").store(stored)
    environment = {
        "REDIS_URL": store.url,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "FRAUD_STATE_DIR": str(folder / "state"),
        "FRAUD_STORE_TIMEOUT_MS": "500",
    }
    with FunctionProcess.under_uvicorn("scorer", folder, environment) as process:
        process.wait("/health/readiness")
        yield process


def _decide(http: urllib3.PoolManager, url: str, body: bytes) -> float:
    """Milliseconds that a decision takes."""
    started = time.perf_counter_ns()
    answer = http.request("POST", f"{url}/v1/score", body=body, headers={"content-type": "application/json"})
    took = (time.perf_counter_ns() - started) / 1e6
    if answer.status != 200 or answer.json()["degraded"]:
        raise RuntimeError(f"no full decision: {answer.status} {answer.data[:300]!r}")
    return took


def _wire(tx: Tx, shift_ms: int) -> dict[str, object]:
    moment = tx.event_time_ms + shift_ms
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 1000))
    return {
        "transaction_id": tx.transaction_id,
        "card_id": tx.card_id,
        "amount": f"{tx.amount_minor // 100}.{tx.amount_minor % 100:02d}",
        "currency": "EUR",
        "merchant_id": tx.merchant_id,
        "merchant_category": tx.merchant_category,
        "city": tx.city,
        "country": tx.country,
        "latitude": tx.latitude,
        "longitude": tx.longitude,
        "channel": tx.channel,
        "timestamp": f"{seconds}.{moment % 1000:03d}Z",
    }
