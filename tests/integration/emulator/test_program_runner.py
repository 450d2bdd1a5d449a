"""Programs that the emulator keeps running."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from shared.emulator import crash_loop
from shared.emulator.log_files import LogFile
from shared.emulator.program_runner import Program, ProgramRunner


async def pid_of_another(runner: ProgramRunner, than: int | None, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        while True:
            for replica in runner.status()["replicas"]:
                if replica["pid"] != than:
                    return int(replica["pid"])
            await asyncio.sleep(0.01)


async def test_a_program_that_ran_for_a_while_is_started_again_at_once_however_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_loop, "_PROVEN_SECONDS", 0.3)
    monkeypatch.setattr(crash_loop, "_FIRST_DELAY", 5.0)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    program = Program("sleeper", command, environment=dict(os.environ), folder=Path.cwd(), grace=1)
    runner = ProgramRunner(program, 1, LogFile(tmp_path / "sleeper.jsonl", "sleeper"))
    await runner.start()
    try:
        pid = await pid_of_another(runner, None, 5)
        for _ in range(4):
            await asyncio.sleep(0.4)
            os.kill(pid, signal.SIGKILL)
            pid = await pid_of_another(runner, pid, 4)
        assert runner.status()["restarts"] == 4
    finally:
        await runner.stop(1)
