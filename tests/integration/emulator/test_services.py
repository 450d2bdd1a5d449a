"""Replicas come, go, are killed and hang, and no request is lost."""

import asyncio
import json
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.backing.ports import PortTaken, free_ports
from shared.emulator.emulator import Emulator
from tests.support.emulator.manifests import service, write
from tests.support.emulator.running import PROJECT, Load, running, until


async def answered(emulator: Emulator, name: str = "tiny") -> float:
    admin = emulator.admin_url
    async with aiohttp.ClientSession() as http, http.get(f"{admin}/services/{name}/metrics") as answer:
        text = await answer.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tiny_answered_total"
    )


async def test_replicas_rise_with_concurrency_and_fall_back_without_a_lost_request(tmp_path: Path) -> None:
    manifest = service(min_scale="1", max_scale="4", target="4", target_burst_capacity="0")
    async with running(tmp_path, manifest) as emulator:
        await emulator.until_ready(20)
        tiny = emulator.services["tiny"]
        load = Load(tiny.url + "/work?seconds=0.01")
        async with load.clients(16):
            await until(lambda: len(tiny.ready) == 4, 40)
            await until(lambda: all(replica.connections > 1 for replica in tiny.ready), 10)
        gentle = Load(tiny.url + "/work?seconds=0.2")
        async with gentle.clients(2):
            await until(lambda: len(tiny.replicas) == 1, 40)
        assert load.errors == gentle.errors == []
        assert set(load.answers) == set(gentle.answers) == {200}
        assert len(load.pids) == 4
        scales = [change.desired for change in tiny.history]
        peak = scales.index(4)
        assert scales[: peak + 1] == sorted(scales[: peak + 1])
        assert all(after >= before // 2 for before, after in pairwise(scales[peak:]))
        # nothing counted by a replica is lost with it
        assert await answered(emulator) == load.sent + gentle.sent


async def test_first_request_to_a_service_at_zero_is_held_and_answered(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="0", window="6s")) as emulator:
        tiny = emulator.services["tiny"]
        await asyncio.sleep(0)
        assert tiny.replicas == ()
        async with aiohttp.ClientSession() as http:
            answers = await asyncio.gather(*(http.post(f"{tiny.url}/n{n}", data=b"abc") for n in range(5)))
        assert [answer.status for answer in answers] == [200] * 5
        await until(lambda: not tiny.replicas, 40)
        async with aiohttp.ClientSession() as http, http.get(tiny.url) as again:
            assert again.status == 200
        assert tiny.crashes.restarts == 0


async def test_killed_replica_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="2", max_scale="2")) as emulator:
        await emulator.until_ready(20)
        tiny = emulator.services["tiny"]
        load = Load(tiny.url + "/work?seconds=0.005")
        async with load.clients(8):
            for kills in range(1, 4):
                victim = tiny.ready[0].pid
                assert victim is not None
                os.kill(victim, signal.SIGKILL)
                await until(lambda expected=kills: tiny.crashes.restarts == expected and len(tiny.ready) == 2)
                done = load.sent
                await until(lambda floor=done: load.sent > floor + 50)
        # what the killed ones were answering is lost, nothing else
        assert len(load.errors) <= 3 * 8
        assert set(load.answers) == {200}
        assert len(tiny.replicas) == 2


async def test_drain_answers_everything_and_cuts_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="3", max_scale="3")) as emulator:
        await emulator.until_ready(20)
        tiny = emulator.services["tiny"]
        load = Load(tiny.url + "/work?seconds=0.02")
        async with load.clients(12):
            for _ in range(3):
                going = tiny.ready[0]
                going.drain()
                await until(lambda gone=going: gone not in tiny.replicas and len(tiny.ready) == 3)
        assert load.errors == []
        assert set(load.answers) == {200}
        assert tiny.crashes.restarts == 0
        assert {replica.name for replica in tiny.replicas} == {f"tiny-00001-{number}" for number in (4, 5, 6)}


async def test_stopping_answers_what_is_in_flight(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="1")) as emulator:
        await emulator.until_ready(20)
        tiny = emulator.services["tiny"]
        async with aiohttp.ClientSession() as http:
            slow = asyncio.create_task(http.get(tiny.url + "/?seconds=1.5"))
            await until(lambda: tiny.replicas[0].connections == 1)
            await emulator.stop(10)
            assert (await slow).status == 200


async def test_limits_of_a_container_are_kept(tmp_path: Path) -> None:
    manifest = service(min_scale="1", max_scale="1", spec={"containerConcurrency": 1, "timeoutSeconds": 1})
    async with running(tmp_path, manifest) as emulator:
        await emulator.until_ready(20)
        url = emulator.urls["tiny"]
        async with aiohttp.ClientSession() as http:
            async with http.get(url + "/?seconds=30") as too_long:
                assert too_long.status == 504
            answers = await asyncio.gather(*(http.get(url + "/?seconds=0.8") for _ in range(15)))
        codes = [answer.status for answer in answers]
        assert codes.count(503) == 4  # one runs, ten wait
        assert codes.count(200) >= 1


async def test_a_function_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = service("broken", env={"TINY_FAILS": "no such table"}, min_scale="1")
    async with running(tmp_path, broken, service(min_scale="1")) as emulator:
        await emulator.until_ready(20, "tiny")
        with pytest.raises(TimeoutError, match=r"(?s)broken does not start: exit code 1.*RuntimeError: no such table"):
            await emulator.until_ready(20, "broken")
        assert "no such table" in emulator.status()["services"]["broken"]["failure"]
        async with aiohttp.ClientSession() as http, http.post(emulator.urls["broken"], data=b"x") as answer:
            assert answer.status == 503
            assert (await answer.json())["detail"] == "service broken does not start"


async def test_replica_gets_the_contract_of_knative_and_its_weight(tmp_path: Path) -> None:
    manifest = service(min_scale="1", container={"resources": {"requests": {"cpu": "500m"}}})
    async with running(tmp_path, manifest, environment={"REDIS_URL": "redis://given"}) as emulator:
        await emulator.until_ready(20)
        tiny = emulator.services["tiny"]
        async with aiohttp.ClientSession() as http, http.get(tiny.url + "/environment") as answer:
            values = await answer.json()
        assert values["K_SERVICE"] == values["K_CONFIGURATION"] == "tiny"
        assert values["K_REVISION"] == "tiny-00001"
        assert values["PORT"] == str(tiny.port)
        assert values["REDIS_URL"] == "redis://given"
        assert values["FRAUD_STATE_DIR"] == str(tmp_path / "home" / "functions" / "tiny")
        assert values["nice"] == os.nice(0) + 3


async def test_admin_interface_finds_every_replica(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="2")) as emulator:
        await emulator.until_ready(20)
        async with aiohttp.ClientSession() as http:
            async with http.get(emulator.admin_url + "/targets") as answer:
                targets = await answer.json()
            for target in targets:
                async with http.get(f"http://{target['targets'][0]}/metrics") as metrics:
                    assert "tiny_started_seconds" in await metrics.text()
            async with http.get(emulator.admin_url + "/metrics") as answer:
                assert 'emulator_replicas_ready{service="tiny"} 2.0' in await answer.text()
            async with http.get(emulator.admin_url + "/status") as answer:
                status = await answer.json()
            async with http.get(emulator.admin_url + "/services/nobody/metrics") as answer:
                assert answer.status == 404
        assert len(targets) == len(status["services"]["tiny"]["replicas"]) == 2
        assert {target["labels"]["replica"] for target in targets} == {
            replica["name"] for replica in status["services"]["tiny"]["replicas"]
        }


async def test_output_of_replicas_is_kept_as_json_lines(tmp_path: Path) -> None:
    async with running(tmp_path, service(min_scale="1")) as emulator:
        await emulator.until_ready(20)
        log = tmp_path / "home" / "logs" / "tiny.jsonl"
        async with aiohttp.ClientSession() as http:
            await http.get(emulator.urls["tiny"] + "/say?what=hello")
        await until(lambda: "hello" in log.read_text())
    (line,) = (json.loads(line) for line in log.read_text().splitlines() if "hello" in line)
    assert (line["service"], line["replica"], line["message"]) == ("tiny", "tiny-00001-1", "hello")


async def test_taken_port_names_its_holder_and_leaves_nothing_running(tmp_path: Path) -> None:
    async with running(tmp_path / "one", service(min_scale="1")) as first:
        second = Emulator(
            tmp_path / "one" / "manifests", {}, tmp_path / "two", {"tiny": first.services["tiny"].port}, admin_port=0
        )
        with pytest.raises(PortTaken, match=f"port .* for service tiny is taken by pid {os.getpid()}"):
            await second.start()


PROGRAM = """
import http.server, os, sys
print("hello from", sys.argv[1], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b"# TYPE programs_total counter\\nprograms_total 1\\n")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def deployment(code: str) -> dict[str, Any]:
    container = {
        "image": "dev.local/program:1",
        "command": ["python", "-c", code],
        "args": ["here"],
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "500m"}},
    }
    labels = {"app": "program"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "program"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


async def test_deployment_runs_beside_and_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path, deployment(PROGRAM)) as emulator:
        program = emulator.programs["program"]
        log = tmp_path / "home" / "logs" / "program.jsonl"
        await until(lambda: log.read_text().count("hello from here") == 2)
        first = program.status()["replicas"][0]["pid"]
        assert psutil.Process(first).nice() == os.nice(0) + 3
        os.kill(first, signal.SIGKILL)
        await until(lambda: program.crashes.restarts == 1 and program.ready == 2)
        assert first not in {copy["pid"] for copy in program.status()["replicas"]}
        await until(lambda: log.read_text().count("hello from here") == 3)
        async with aiohttp.ClientSession() as http:
            await until_told(http, emulator.admin_url + "/services/program/metrics", "programs_total 2.0")
            async with http.get(emulator.admin_url + "/targets") as answer:
                assert len(await answer.json()) == 2


async def test_nothing_outlives_a_killed_emulator(tmp_path: Path) -> None:
    (port, admin) = free_ports(2)
    manifests = write(tmp_path / "m", service(min_scale="1"), deployment("import time; time.sleep(600)"))
    command = [sys.executable, "-m", "shared.emulator", "--manifests", str(manifests), "--home", str(tmp_path / "home")]
    options = ["--port", f"tiny={port}", "--admin-port", str(admin)]
    process = await asyncio.create_subprocess_exec(*command, *options, cwd=PROJECT)
    try:
        pid = await answering_pid(f"http://127.0.0.1:{port}")
        children = psutil.Process(process.pid).children()
        assert pid in {child.pid for child in children}
        assert len(children) == 3
    finally:
        process.kill()
        await process.wait()
    await until(lambda: not any(child.is_running() for child in children))


async def until_told(http: aiohttp.ClientSession, url: str, text: str) -> None:
    async with asyncio.timeout(20):
        while True:
            async with http.get(url) as answer:
                if text in await answer.text():
                    return
            await asyncio.sleep(0.05)


async def answering_pid(url: str) -> int:
    async with asyncio.timeout(20), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url) as answer:
                    return int((await answer.json())["pid"])
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
