"""A replica's process alone, without the emulator that usually starts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from shared.emulator.replica_settings import ReplicaSettings
from tests.support.emulator.manifests import FUNCTION, service
from tests.support.emulator.running import PROJECT, running


@contextmanager
def replica() -> Iterator[tuple["subprocess.Popen[bytes]", socket.socket]]:
    """A started replica and the emulator's end of its channel."""
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as shared, socket.create_server(("127.0.0.1", 0)) as private, theirs:
        shared.setblocking(False)
        descriptors = (shared.fileno(), private.fileno(), theirs.fileno())
        settings = ReplicaSettings(0, 30.0, 30.0, 0, *descriptors)
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.emulator.replica", settings.to_json()],
            env={**os.environ, "FUNCTION_TARGET": "tiny", "FUNCTION_SOURCE": FUNCTION},
            cwd=PROJECT,
            pass_fds=descriptors,
        )
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        ours.close()


def test_ends_when_the_emulator_is_gone_without_having_read_its_reports() -> None:
    with replica() as (process, channel):
        assert channel.recv(1, socket.MSG_PEEK)
        channel.close()
        assert process.wait(20) == 0


def test_ends_when_the_emulator_is_gone_before_it_serves() -> None:
    with replica() as (process, channel):
        channel.close()
        assert process.wait(20) == 0


def test_ends_at_once_when_idle_and_asked_to() -> None:
    with replica() as (process, channel):
        assert channel.recv(1, socket.MSG_PEEK)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


async def test_emulator_that_stops_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    for attempt in range(3):
        async with running(tmp_path / str(attempt), service(min_scale="3")):
            pass
    left = [child for child in psutil.Process().children() if child.pid not in before and child.is_running()]
    assert [child.cmdline() for child in left if child.status() != psutil.STATUS_ZOMBIE] == []
