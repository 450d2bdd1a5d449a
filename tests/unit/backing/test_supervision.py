"""The watch over one service, with a service that does what the test says."""

from __future__ import annotations

import asyncio

import pytest

from shared.backing import backing
from shared.backing.backing import SupervisedService
from shared.backing.service import NotReady, ServiceFailed
from tests.support.backing import eventually


class FakeService:
    """A service whose process ends when the test says so."""

    name = "fake"
    address = "nowhere"
    external = False
    pid: int | None = None

    def __init__(self, probes_until_ready: int = 0, refuse_starts: tuple[int, ...] = ()) -> None:
        self.environment: dict[str, str] = {}
        self.starts = 0
        self.stopped = False
        self._probes_left = self._probes = probes_until_ready
        self._refuse = refuse_starts
        self._ended: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        self.starts += 1
        if self.starts in self._refuse:
            raise RuntimeError("port taken")
        self._ended = asyncio.Event()
        self._probes_left = self._probes

    async def probe(self) -> None:
        self._probes_left -= 1
        if self._probes_left >= 0:
            raise NotReady("loading")

    async def wait_exit(self) -> str:
        await self._ended.wait()
        return "ended by signal 9"

    async def stop(self) -> None:
        self.stopped = True

    def log_tail(self, lines: int = 15) -> list[str]:
        return ["the last line"]

    def crash(self) -> None:
        self._ended.set()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backing, "_FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(backing, "_PROBE_INTERVAL_SECONDS", 0.001)


async def test_ready_comes_after_the_probe_succeeds() -> None:
    states: list[tuple[str, str | None]] = []
    service = FakeService(probes_until_ready=3)
    supervised = SupervisedService(
        service, lambda _: states.append((supervised.status().state, supervised.status().reason))
    )
    await supervised.start()
    assert states[0] == ("starting", None)
    assert states[-1] == ("ready", None)
    assert supervised.ready.is_set()
    await supervised.stop()
    assert service.stopped
    assert states[-1] == ("stopped", None)


async def test_each_crash_is_counted_and_the_service_started_again() -> None:
    service = FakeService(probes_until_ready=1)
    supervised = SupervisedService(service, lambda _: None)
    await supervised.start()
    for crashes in (1, 2, 3):
        service.crash()
        await eventually(lambda wanted=crashes: supervised.status().restarts == wanted)
        await eventually(supervised.ready.is_set)
        assert service.starts == crashes + 1
    await supervised.stop()


async def test_a_start_that_is_refused_is_tried_again() -> None:
    service = FakeService(refuse_starts=(2, 3))
    supervised = SupervisedService(service, lambda _: None)
    await supervised.start()
    service.crash()
    await eventually(lambda: service.starts == 4 and supervised.ready.is_set())
    await supervised.stop()


async def test_an_end_before_readiness_is_a_failure_with_the_log() -> None:
    service = FakeService(probes_until_ready=10**9)
    supervised = SupervisedService(service, lambda _: None)
    starting = asyncio.create_task(supervised.start())
    await eventually(lambda: service.starts == 1)
    service.crash()
    with pytest.raises(ServiceFailed, match=r"(?s)fake .*ended by signal 9.*the last line"):
        await starting


async def test_a_service_that_never_gets_ready_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backing, "_START_SECONDS", 0.05)
    supervised = SupervisedService(FakeService(probes_until_ready=10**9), lambda _: None)
    with pytest.raises(ServiceFailed, match=r"not ready after .*loading"):
        await supervised.start()


async def test_no_restart_after_a_wanted_stop() -> None:
    service = FakeService()
    supervised = SupervisedService(service, lambda _: None)
    await supervised.start()
    await supervised.stop()
    service.crash()
    await asyncio.sleep(0)
    assert service.starts == 1
    assert supervised.status().restarts == 0
