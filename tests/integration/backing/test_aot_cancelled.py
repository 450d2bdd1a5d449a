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
    # A version of its own names another cache than that of the machine; the jars are those of every test.
    monkeypatch.setattr("shared.backing.aot.version", lambda _name: f"test-{os.getpid()}")
    others = {child.pid for child in psutil.Process().children(recursive=True)}  # the session's own broker
    ready = aot_recording._ready

    def brokers() -> list[psutil.Process]:
        children = [child for child in psutil.Process().children(recursive=True) if child.pid not in others]
        return [child for child in children if "kafka.Kafka" in child.cmdline()]

    async def ready_then_mute(probe: aot_recording.KafkaProbe) -> None:
        await ready(probe)
        for broker in brokers():
            broker.send_signal(signal.SIGSTOP)  # clients wait for answers that never come

    monkeypatch.setattr(aot_recording, "_ready", ready_then_mute)
    ended: list[float] = []

    async def break_off() -> None:
        settings = BackingSettings(home=tmp_path / "home")
        recording = asyncio.create_task(aot_recording.record_aot_cache(settings))
        deadline = time.monotonic() + 90
        while not any(broker.status() == psutil.STATUS_STOPPED for broker in brokers()):
            assert time.monotonic() < deadline, "the recording broker did not come up"
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # into the work
        ended.append(time.monotonic())
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)

    asyncio.run(break_off())
    assert time.monotonic() - ended[0] < 15
    assert brokers() == []
