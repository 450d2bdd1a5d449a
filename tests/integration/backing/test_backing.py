"""Taken ports, services of somebody else, and what a killed supervisor leaves behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from shared.backing.backing import Backing
from shared.backing.pidfile import PidFile
from shared.backing.ports import PortTaken
from shared.backing.processes import alive
from shared.backing.service import ServiceFailed
from tests.support.backing import backing_settings, eventually, status_of

REDIS = frozenset({"redis"})


async def test_a_taken_port_names_holder_and_setting(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    with socket.create_server(("127.0.0.1", settings.redis_port)), pytest.raises(PortTaken) as refusal:
        await Backing(settings, only=REDIS).start()
    message = str(refusal.value)
    assert f"port {settings.redis_port}" in message
    assert f"pid {os.getpid()}" in message
    assert "pytest" in message
    assert "FRAUD_REDIS_PORT" in message


async def test_a_failed_start_leaves_nothing_running(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    with socket.create_server(("127.0.0.1", settings.s3_port)):
        backing = Backing(settings, only=frozenset({"redis", "s3"}))
        with pytest.raises(PortTaken):
            await backing.start()
    assert [status.pid for status in backing.status()] == [None, None]
    assert not list((tmp_path / "run").glob("*.pid"))


async def test_a_service_that_ends_at_once_fails_with_its_log(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    corrupt = tmp_path / "redis" / "appendonlydir"
    corrupt.mkdir(parents=True)
    (corrupt / "appendonly.aof.manifest").write_text("no manifest at all\n")
    with pytest.raises(ServiceFailed, match=r"(?s)redis .*manifest"):
        await Backing(settings, only=REDIS).start()


async def test_an_address_replaces_a_service(tmp_path: Path, redis_url: str) -> None:
    settings = backing_settings(tmp_path, redis_url=redis_url)
    async with Backing(settings, only=REDIS) as backing:
        status = status_of(backing, "redis")
        assert status.external
        assert status.state == "ready"
        assert status.pid is None
        assert backing.environment == {"REDIS_URL": redis_url}
    assert not (tmp_path / "redis").exists()
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()  # stopping ours did not stop theirs


async def test_a_broker_of_somebody_else_gets_the_topics(tmp_path: Path, kafka_bootstrap: str) -> None:
    settings = backing_settings(tmp_path, kafka_bootstrap_servers=kafka_bootstrap)
    async with Backing(settings, only=frozenset({"kafka"})) as backing:
        assert status_of(backing, "kafka").state == "ready"
    assert not (tmp_path / "kafka").exists()


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from shared.backing.backing import Backing
from shared.backing.settings import BackingSettings

async def main():
    settings = BackingSettings(home=Path(sys.argv[1]), redis_port=int(sys.argv[2]), redis_url=None)
    async with Backing(settings, only=frozenset({"redis"})):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def _killed_supervisor(home: Path, port: int) -> psutil.Process:
    """Run a supervisor with a Valkey, kill it with -9, and return the Valkey it left behind."""
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(home), str(port), stdout=subprocess.PIPE, env=environment
    )
    assert supervisor.stdout is not None
    assert await supervisor.stdout.readline() == b"up\n"
    supervisor.kill()
    await supervisor.wait()
    record = PidFile.read(home / "run" / "redis.pid")
    assert record is not None
    process = record.process()
    assert process is not None
    return process


async def test_the_next_supervisor_takes_over_and_keeps_alive(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    left = await _killed_supervisor(tmp_path, settings.redis_port)
    async with Backing(settings, only=REDIS) as backing:
        assert status_of(backing, "redis").pid == left.pid
        left.kill()
        await eventually(lambda: status_of(backing, "redis").restarts == 1 and backing.status()[0].state == "ready")
        assert status_of(backing, "redis").pid != left.pid
    assert not (tmp_path / "run" / "redis.pid").exists()


async def test_a_leftover_of_other_settings_is_stopped(tmp_path: Path) -> None:
    settings = backing_settings(tmp_path)
    left = await _killed_supervisor(tmp_path, settings.redis_port)
    other = backing_settings(tmp_path)
    async with Backing(other, only=REDIS) as backing:
        assert not alive(left)
        assert status_of(backing, "redis").pid != left.pid


async def test_a_pid_given_to_another_process_is_left_alone(tmp_path: Path) -> None:
    record = PidFile(os.getpid(), started=1.0, identity="a server of long ago")
    record.write(tmp_path / "run" / "redis.pid")
    async with Backing(backing_settings(tmp_path), only=REDIS) as backing:
        assert status_of(backing, "redis").pid != os.getpid()
