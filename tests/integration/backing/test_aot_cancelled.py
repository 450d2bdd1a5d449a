"""Recording the broker's cache is broken off at once: `fraud down` waits for it."""

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from shared.backing import aot_recording
from shared.backing.settings import BackingSettings


def test_a_broken_off_recording_leaves_nothing_to_wait_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its own Java options would name another cache; only the cache's name differs, the jars are those of every test.
    monkeypatch.setattr("shared.backing.aot.version", lambda _name: f"test-{os.getpid()}")
    ready = aot_recording._ready

    async def ready_then_mute(probe: aot_recording.KafkaProbe) -> None:
        await ready(probe)
        for child in psutil.Process().children(recursive=True):
            if "kafka.Kafka" in child.cmdline():
                child.send_signal(signal.SIGSTOP)  # clients wait for answers that never come

    monkeypatch.setattr(aot_recording, "_ready", ready_then_mute)
    ended: list[float] = []

    async def break_off() -> None:
        settings = BackingSettings(home=tmp_path / "home")
        recording = asyncio.create_task(aot_recording.record_aot_cache(settings))
        deadline = time.monotonic() + 90
        while not any(child.status() == psutil.STATUS_STOPPED for child in psutil.Process().children(recursive=True)):
            assert time.monotonic() < deadline, "the recording broker did not come up"
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # into the work
        ended.append(time.monotonic())
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)

    asyncio.run(break_off())
    assert time.monotonic() - ended[0] < 15
    assert not [child for child in psutil.Process().children(recursive=True) if "kafka.Kafka" in child.cmdline()]
