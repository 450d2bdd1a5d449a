"""Checks every promise of the system on the cluster that runs (`make kind-up-fresh` has put it there).

    make verify-knative
    make verify-knative CONTEXT=name INGRESS=http://203.0.113.7 ARGS="--only kills"

Each check prints what it saw; the exit status is 1 when one was not kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import yaml

from tests.e2e.knative.autoscale import keep, say, scale
from tests.e2e.knative.cluster import ROOT, Cluster, Refused, add_options, chosen, until
from tests.e2e.knative.kills import pods_killed
from tests.e2e.knative.load import heading
from tests.e2e.knative.rollout import new_model, new_revision
from tests.e2e.knative.same_delivery import compare_delivery
from tests.e2e.knative.same_draining import compare_draining
from tests.e2e.knative.schedules import schedules_trigger
from tests.e2e.knative.watching import replicas_watched
from tests.support.knative.kustomize import build

OVERLAYS = ("kind", "without-kafka-source", "production")
READY_SECONDS = 300


def accepted(cluster: Cluster, _options: argparse.Namespace) -> bool:
    """The API server, with Knative's webhooks, accepts every resource of every overlay."""
    with cluster.feature("kubernetes.podspec-topologyspreadconstraints"):
        return _all_accepted(cluster)


def _all_accepted(cluster: Cluster) -> bool:
    refused = False
    for overlay in OVERLAYS:
        taken, unknown = 0, set()
        for resource in build(ROOT / "knative" / "overlays" / overlay):
            group, _, version = resource["apiVersion"].rpartition("/")
            if group.endswith("knative.dev") and not cluster.knows(group, version, resource["kind"]):
                unknown.add(resource["kind"])
                continue
            try:
                cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(resource))
                taken += 1
            except Refused as error:
                refused = True
                print(f"overlays/{overlay} {resource['kind']}/{resource['metadata']['name']}: {str(error)[-300:]}")
        left_out = f"; this cluster has no {', '.join(sorted(unknown))}" if unknown else ""
        print(f"overlays/{overlay}: {taken} resources accepted{left_out}")
    return not refused


def ready(cluster: Cluster, _options: argparse.Namespace) -> bool:
    """Every service is Ready."""

    def all_ready() -> list[str]:
        services = cluster.get("/apis/serving.knative.dev/v1/namespaces/fraud/services")["items"]
        conditions = {one["metadata"]["name"]: one["status"]["conditions"] for one in services}
        waiting = [
            name
            for name, found in conditions.items()
            if not any(one["type"] == "Ready" and one["status"] == "True" for one in found)
        ]
        if waiting:
            raise LookupError(f"not ready: {', '.join(waiting)}")
        return [*conditions]

    names = until(all_ready, READY_SECONDS, "all services to be Ready")
    print(f"Ready: {', '.join(names)}")
    return True


def equal(cluster: Cluster, options: argparse.Namespace) -> bool:
    """The ingress gives the emulator's answers, byte by byte."""
    with cluster.forwarded("svc/mlflow", 5000) as port:
        command = [sys.executable, "-m", "tests.e2e.hosts", "--events", str(options.events), "--host", "emulator"]
        command += ["--url", cluster.ingress, "--host-header", cluster.host("scorer")]
        command += ["--mlflow", f"http://127.0.0.1:{port}"]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def schedules(cluster: Cluster, _options: argparse.Namespace) -> bool:
    """PingSources trigger the scheduled functions."""
    return schedules_trigger(cluster)


def same(cluster: Cluster, _options: argparse.Namespace) -> bool:
    """The emulator delivers events and drains replicas as the cluster does."""
    delivered = compare_delivery(cluster)
    return compare_draining(cluster) and delivered


def revision(cluster: Cluster, options: argparse.Namespace) -> bool:
    """A new revision under load fails no request."""
    return new_revision(cluster, options.rollout_rate)


def model(cluster: Cluster, options: argparse.Namespace) -> bool:
    """A new model under load fails no request."""
    return new_model(cluster, options.rollout_rate)


def autoscale(cluster: Cluster, options: argparse.Namespace) -> bool:
    """The scorer scales from one to its most replicas and back, and fails no request."""
    heading()
    outcome = scale(cluster, options.rate, options.seconds, options.connections)
    keep(outcome, options.rate)
    return say(outcome, options.replicas)


def kills(cluster: Cluster, options: argparse.Namespace) -> bool:
    """Killed pods lose and double nothing."""
    return pods_killed(cluster, options.kills, options.kill_rate, options.seed)


def watched(cluster: Cluster, _options: argparse.Namespace) -> bool:
    """Prometheus scrapes every replica and fills the dashboards."""
    return replicas_watched(cluster)


CHECKS: tuple[Callable[[Cluster, argparse.Namespace], bool], ...] = (
    accepted, ready, equal, schedules, same, watched, revision, model, autoscale, kills,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--only", action="append", choices=[check.__name__ for check in CHECKS])
    parser.add_argument("--events", type=int, default=10_000, help="transactions whose answers are compared")
    parser.add_argument("--rate", type=float, default=200, help="transactions per second of the scaling load")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--rollout-rate", type=float, default=100, help="transactions per second during a rollout")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kill-rate", type=float, default=20, help="transactions per second while pods are killed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    broken = []
    with chosen(options).watched() as cluster:
        for check in CHECKS:
            if options.only and check.__name__ not in options.only:
                continue
            began = time.monotonic()
            print(f"== {check.__name__}: {check.__doc__}", flush=True)
            try:
                kept = check(cluster, options)
            except (Refused, TimeoutError) as error:
                kept = False
                print(error)
            print(
                f"== {check.__name__}: {'kept' if kept else 'NOT KEPT'} ({time.monotonic() - began:.0f} s)", flush=True
            )
            if not kept:
                broken.append(check.__name__)
    print(f"not kept: {', '.join(broken)}" if broken else "every promise was kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
