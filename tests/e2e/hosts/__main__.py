"""Sends one recorded stream through several hosts of the scorer and compares every answer, byte by byte.

python -m tests.e2e.hosts --events 10000                                   four hosts of this machine
python -m tests.e2e.hosts --host emulator --url http://203.0.113.7 --host-header scorer.fraud.example.com \\
    --mlflow http://203.0.113.7:5000                                       the emulator and a deployed scorer

Each host of this machine has a feature store of its own, empty at first, and all have one champion: trained for this,
or with --mlflow the champion of a registry. A deployed scorer must follow that registry; ids are new in every run, so
its store need not be empty. What differs by nature is left out: the measured timings of an answer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from shared.registry.disk_copy import DiskCopy, StoredModel
from shared.simulation.noise import letters
from tests.e2e.hosts import champion
from tests.e2e.hosts.comparison import Answers, answers, differences, summary
from tests.e2e.hosts.host import LOCAL, Address, Host, wait_ready
from tests.e2e.hosts.stream import Recorded, record
from tests.support.backing import SessionBacking
from tests.support.features.valkey import free_port
from tests.support.servers import Valkey

_SHOWN = 5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000, help="transactions in the stream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", action="append", choices=[*LOCAL], help="a host of this machine (default: all)")
    parser.add_argument("--url", help="a scorer that runs already")
    parser.add_argument("--host-header", metavar="NAME", help="name by which its ingress knows it")
    parser.add_argument("--mlflow", metavar="URL", help="registry whose champion answers; needed with --url")
    options = parser.parse_args()
    if options.url and not options.mlflow:
        parser.error("--url needs --mlflow: only the registry tells which model that scorer answers with")
    return options


def _on_this_machine(name: str, folder: Path, model: StoredModel, kafka: str, stream: list[Recorded]) -> Answers:
    """Answers of a host that is started for this, with a store of its own."""
    folder.mkdir()
    with Valkey(folder / "valkey") as store, ExitStack() as closing:
        state = folder / "functions" / "scorer"
        DiskCopy(state / "models" / "fraud" / "champion").store(model)
        environment = {
            "REDIS_URL": store.url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",  # nobody there: the model must not change
            "FRAUD_STATE_DIR": str(state),
            "FRAUD_STORE_TIMEOUT_MS": "2000",  # a busy machine must not make answers degraded
        }
        host = LOCAL[name](folder, environment)
        closing.callback(host.close)
        return _ask(name, host, stream)


def _ask(name: str, host: Host, stream: list[Recorded]) -> Answers:
    wait_ready(host, name)
    began = time.perf_counter()
    found = answers(host, stream, lambda number: print(f"  {name}: {number} of {len(stream)}", flush=True))
    took = time.perf_counter() - began
    print(f"{name}: {summary(found.replies)}; {found.again} asked again; {took:.0f} s", flush=True)
    return found


def main() -> int:
    options = _arguments()
    names = options.host or [*LOCAL]
    stream = record(options.events, options.seed, letters(6, time.time_ns()) + "-")
    transactions = sum(request.transactions for request in stream)
    kinds = Counter(request.kind for request in stream)
    print(f"seed {options.seed}: {transactions} transactions in {len(stream)} requests of {len(kinds)} kinds")
    by_host: dict[str, Answers] = {}
    with tempfile.TemporaryDirectory(prefix="hosts-") as home, ExitStack() as stack:
        model = champion.registered(options.mlflow) if options.mlflow else champion.trained(Path(home))
        print(f"champion: version {model.version}, bundle {model.sha256[:12]}", flush=True)
        backing = SessionBacking(Path(home) / "backing")
        stack.callback(backing.stop)
        kafka = backing.environment("kafka")["KAFKA_BOOTSTRAP_SERVERS"]
        for name in names:
            by_host[name] = _on_this_machine(name, Path(home) / name, model, kafka, stream)
    if options.url:
        host = Address(options.url, options.host_header)
        by_host[options.url] = _ask(options.url, host, stream)
        host.close()
    found = differences(stream, {name: replies for name, (replies, _) in by_host.items()})
    for request, name, expected, actual in found[:_SHOWN]:
        print(f"{name} differs ({request.kind}, {request.target}): {request.body[:400]!r}")
        print(f"  expected {expected.status} {expected.content_type} {expected.body.decode(errors='replace')}")
        print(f"  got      {actual.status} {actual.content_type} {actual.body.decode(errors='replace')}")
    degraded = sum(b'"degraded":true' in reply.body for replies, _ in by_host.values() for reply in replies)
    if degraded:
        print(f"{degraded} answers came without the feature store: they compare nothing")
    print(f"{transactions} transactions, {len(by_host)} hosts, {len(found)} differences")
    return 1 if found or degraded else 0


if __name__ == "__main__":
    sys.exit(main())
