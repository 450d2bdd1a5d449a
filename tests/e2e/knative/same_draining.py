"""One slow function in the cluster and in the emulator: replicas that go answer what they have taken.

Twice, with `CLIENTS` requests of `SECONDS` under way all along: the replica is replaced (a new revision in the cluster,
a drained replica in the emulator), then asked to end (a deleted pod; SIGTERM). No request may fail, the replica that
took a request answers it, later ones are answered by another. How long the replica that was asked to end lives is
bounded by its slowest request, the time that its host keeps it for late requests (`HOST_SECONDS`: Knative's queue-proxy
waits `drainSleepDuration`, 30 s, knative.dev/serving v0.42 pkg/queue/sharedmain/main.go, until no router sends it
anything; the emulator's replicas share one socket and wait a second) and `MARGIN_SECONDS`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.e2e.knative.cluster import SERVICE_LABEL, Cluster, Object, is_ready, until
from tests.e2e.knative.same_pods import RESOURCES, RESTRICTED, SPACE, apply, code, function_image, own_namespace
from tests.support.emulator.running import running
from tests.support.emulator.running import until as emulated_until

CLIENTS = 20
SECONDS = 1.0
MARGIN_SECONDS = 10.0
HOST_SECONDS = {"cluster": 30.0, "emulator": 1.0}
PATIENCE_SECONDS = 90.0
FUNCTION = Path(__file__).with_name("slow_function.py")
NAME = "slow"


@dataclass(frozen=True)
class Asked:
    """A request: who answered it what, and when it was sent and answered."""

    status: int | str
    replica: str
    sent: float
    answered: float


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        replace: Puts another replica into the place of the one named; returns when requests go to the other.
        end: Asks a replica to end.
        gone: Whether a replica has ended.
    """

    name: str
    url: str
    headers: dict[str, str]
    replace: Callable[[str], Awaitable[None]]
    end: Callable[[str], Awaitable[None]]
    gone: Callable[[str], bool]


def compare_draining(cluster: Cluster) -> bool:
    """Drain on both sides; returns whether both kept every request."""
    with own_namespace(cluster):
        apply(cluster, code(NAME, FUNCTION.read_text()), _manifest(function_image(cluster)))
        cluster.kubectl("wait", f"ksvc/{NAME}", "--for=condition=Ready", "--timeout=90s", namespace=SPACE)
        broken = asyncio.run(_drain(_cluster_side(cluster)))
    return not broken + asyncio.run(_drain_emulated())


def _manifest(image: str) -> Object:
    variables = {"FUNCTION_TARGET": NAME, "FUNCTION_SOURCE": "/code/main.py"}
    container = {
        "image": image,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "readinessProbe": {"httpGet": {"path": "/"}},
        "resources": RESOURCES,
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    }
    scaling = {"min-scale": "1", "max-scale": "1", "target-burst-capacity": "0"}
    annotations = {f"autoscaling.knative.dev/{name}": value for name, value in scaling.items()}
    pod = {"timeoutSeconds": 30, "containers": [container], "volumes": [{"name": "code", "configMap": {"name": NAME}}]}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": SPACE},
        "spec": {"template": {"metadata": {"annotations": annotations}, "spec": pod}},
    }


def _cluster_side(cluster: Cluster) -> Side:
    def service() -> Object:
        return dict(cluster.get(f"/apis/serving.knative.dev/v1/namespaces/{SPACE}/services/{NAME}"))

    def pods() -> dict[str, Object]:
        path = f"/api/v1/namespaces/{SPACE}/pods?labelSelector={SERVICE_LABEL}={NAME}"
        return {pod["metadata"]["name"]: pod for pod in cluster.get(path)["items"]}

    def replace(_: str) -> None:
        before = service()["status"]["latestReadyRevisionName"]
        change = {"spec": {"template": {"metadata": {"annotations": {"fraud.dev/rolled-out": str(time.time_ns())}}}}}
        cluster.kubectl("patch", "ksvc", NAME, "--type", "merge", "-p", json.dumps(change), namespace=SPACE)

        def replaced() -> bool:
            status = service()["status"]
            traffic = [one["revisionName"] for one in status["traffic"] if one.get("percent")]
            return before not in traffic and traffic == [status["latestReadyRevisionName"]]

        until(replaced, PATIENCE_SECONDS, "the new revision to take the traffic")

    def end(replica: str) -> None:
        cluster.kubectl("delete", "pod", replica, "--wait=false", namespace=SPACE)
        until(lambda: any(is_ready(pod) for name, pod in pods().items() if name != replica), PATIENCE_SECONDS, "a pod")

    return Side(
        "cluster",
        cluster.ingress,
        {"host": str(service()["status"]["url"]).split("://", 1)[1]},
        lambda replica: asyncio.to_thread(replace, replica),
        lambda replica: asyncio.to_thread(end, replica),
        lambda replica: replica not in pods(),
    )


async def _drain_emulated() -> list[str]:
    manifest = _manifest("dev.local/slow:1")
    pod = manifest["spec"]["template"]["spec"]
    del pod["volumes"], pod["containers"][0]["volumeMounts"]  # the code is here already
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), manifest, environment={"FUNCTION_SOURCE": str(FUNCTION)}) as emulator:
            await emulator.until_ready(30)
            runner = emulator.services[NAME]

            async def another(replica: str) -> None:
                await emulated_until(lambda: any(one.name != replica for one in runner.ready), PATIENCE_SECONDS)

            async def replace(replica: str) -> None:
                next(one for one in runner.replicas if one.name == replica).drain()
                await another(replica)

            async def end(replica: str) -> None:
                pid = next(one for one in runner.replicas if one.name == replica).pid
                assert pid is not None
                os.kill(pid, signal.SIGTERM)
                await another(replica)

            def gone(replica: str) -> bool:
                return all(one.name != replica for one in runner.replicas)

            return await _drain(Side("emulator", runner.url, {}, replace, end, gone))


async def _drain(side: Side) -> list[str]:
    """Go through the scenario on one side, print it, and return what was not kept."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        asked: list[Asked] = []
        asked.append(await _ask(http, side))
        first = asked[0].replica
        replacing = asyncio.create_task(side.replace(first))
        while not replacing.done():
            asked += await _together(http, side, SECONDS)
        await replacing
        since = time.monotonic()
        asked += await _together(http, side, SECONDS)
        second = asked[-1].replica
        late = [one for one in asked if one.sent >= since and one.replica == first]
        broken = _judge(side, "replaced", asked, late)

        under_way = asyncio.create_task(_together(http, side, SECONDS))
        await asyncio.sleep(SECONDS / 3)
        began = time.monotonic()
        ending = asyncio.create_task(side.end(second))
        taken = await under_way
        meanwhile: list[Asked] = []
        while not ending.done():
            meanwhile += await _together(http, side, SECONDS)
        await ending
        later = await _together(http, side, SECONDS)
        wrong = [one for one in taken if one.replica != second] + [one for one in later if one.replica == second]
        broken += _judge(side, "asked to end", [*taken, *meanwhile, *later], wrong)
        await asyncio.to_thread(until, lambda: side.gone(second), PATIENCE_SECONDS, f"the end of {second}")
        lived = time.monotonic() - began
    bound = SECONDS + HOST_SECONDS[side.name] + MARGIN_SECONDS
    print(f"{side.name}: the replica asked to end lived {lived:.1f} s, at most {bound:.0f} s allowed")
    if lived > bound:
        broken.append(f"{side.name}: lived {lived:.1f} s")
    for line in broken:
        print(f"NOT KEPT: {line}")
    return broken


def _judge(side: Side, what: str, asked: list[Asked], wrong: list[Asked]) -> list[str]:
    """Print how requests were answered; returns what was not kept."""
    statuses = Counter(one.status for one in asked)
    replicas = Counter(one.replica for one in asked if one.status == 200)
    slowest = max(one.answered - one.sent for one in asked)
    shares = ", ".join(f"{count} by {name}" for name, count in replicas.items())
    print(f"{side.name}, {what}: {statuses[200]} of {len(asked)} answered ({shares}), slowest {slowest:.1f} s")
    failed = {status: count for status, count in statuses.items() if status != 200}
    return ([f"{side.name}, {what}: {failed}"] if failed else []) + (
        [f"{side.name}, {what}: {len(wrong)} answered by the wrong replica"] if wrong else []
    )


async def _together(http: aiohttp.ClientSession, side: Side, seconds: float) -> list[Asked]:
    return list(await asyncio.gather(*(_ask(http, side, seconds) for _ in range(CLIENTS))))


async def _ask(http: aiohttp.ClientSession, side: Side, seconds: float = 0.0) -> Asked:
    sent = time.monotonic()
    status: int | str
    try:
        async with http.post(f"{side.url}/?seconds={seconds}", headers=side.headers) as answer:
            status, text = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        status, text = repr(error), ""
    return Asked(status, text, sent, time.monotonic())
