"""Which processes a new supervisor takes for leftovers of a killed one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.backing.processes import alive
from shared.cli.leftovers import end_leftovers, find_leftovers

SLEEP = "import signal, sys; print('up', flush=True); signal.pause()"


@contextmanager
def _process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEP, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


async def test_replicas_and_delivery_of_this_folder_are_ended_and_nothing_else(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with (
        _process(FRAUD_STATE_DIR=str(ours / "functions" / "scorer")) as replica,
        _process("-m", "shared.emulator.delivery", "--home", str(ours / "delivery")) as delivery,
        _process(FRAUD_STATE_DIR=str(theirs / "functions" / "scorer")) as other_replica,
        _process("-m", "shared.emulator.delivery", "--home", str(theirs / "delivery")) as other_delivery,
    ):
        assert {process.pid for process in find_leftovers(ours)} == {replica.pid, delivery.pid}
        left = find_leftovers(ours)
        assert await end_leftovers(ours) == 2
        assert not any(alive(process) for process in left)
        assert other_replica.poll() is None
        assert other_delivery.poll() is None
        assert find_leftovers(ours) == []
