"""Leases on a real S3 server with conditional writes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import pytest

from shared.lake.objects import Beaten, Objects
from shared.runs.lease import FOLDER, LeaseLost, Leases, LeaseTaken
from tests.support.lake.tables import own_lake
from tests.support.servers import ROOT, until

SHORT = 1.0


@pytest.fixture
def objects(s3_environment: Mapping[str, str]) -> Objects:
    return Objects(own_lake(s3_environment).settings, FOLDER)


def try_to_take(leases: Leases, name: str = "train") -> bool:
    try:
        with leases.hold(name, SHORT):
            return True
    except LeaseTaken:
        return False


def test_a_conditional_write_happens_only_on_what_was_read(objects: Objects) -> None:
    etag = objects.put_if("a", b"1", None)
    with pytest.raises(Beaten):
        objects.put_if("a", b"2", None)
    objects.put_if("a", b"2", etag)
    with pytest.raises(Beaten):
        objects.put_if("a", b"3", etag)
    with pytest.raises(Beaten):
        objects.put_if("missing", b"3", etag)
    stored = objects.get("a")
    assert stored is not None
    assert stored.body == b"2"


def test_one_holder_at_a_time_and_a_growing_fence(objects: Objects) -> None:
    leases = Leases(objects)
    with leases.hold("train") as first:
        with pytest.raises(LeaseTaken, match="train is held by"), leases.hold("train"):
            pass
        with leases.hold("drift") as other:
            assert other.fence == 1
    with leases.hold("train") as second:
        assert second.fence == first.fence + 1


def test_a_holder_that_lives_keeps_it_beyond_its_length(objects: Objects) -> None:
    leases = Leases(objects)
    with leases.hold("train", SHORT) as held:
        time.sleep(3 * SHORT + 1)
        assert not try_to_take(leases)
        held.check()


def test_of_many_who_ask_at_once_one_gets_it(objects: Objects) -> None:
    won: list[int] = []
    leave = threading.Event()

    def ask() -> None:
        try:
            with Leases(objects).hold("train") as held:
                won.append(held.fence)
                leave.wait()
        except LeaseTaken:
            pass

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: sum(thread.is_alive() for thread in threads) == 1, what="the losers")
    assert won == [1]
    leave.set()
    for thread in threads:
        thread.join()


def test_the_lease_of_a_killed_process_is_taken_over(s3_environment: Mapping[str, str]) -> None:
    settings = own_lake(s3_environment).settings
    environment = {**os.environ, **s3_environment, "FRAUD_LAKE_URI": settings.fraud_lake_uri}
    command = [sys.executable, "-m", "tests.support.lake.lease_holder", "train", str(SHORT)]
    leases = Leases(Objects(settings, FOLDER))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert not try_to_take(leases)
        process.kill()
    until(lambda: try_to_take(leases), 15, "the lease to run out")
    with leases.hold("train") as held:
        assert held.fence == 3


def test_a_holder_that_was_overtaken_learns_it_before_it_shows_its_work(objects: Objects) -> None:
    leases = Leases(objects)
    with leases.hold("train", 60) as held:
        stored = objects.get("train.json")
        assert stored is not None
        objects.put_if("train.json", stored.body.replace(b'"fence":1', b'"fence":2'), stored.etag)
        with pytest.raises(LeaseLost):
            held.check()
        with pytest.raises(LeaseLost):
            held.check()
    # and leaves the other's lease alone
    after = objects.get("train.json")
    assert after is not None
    assert b'"fence":2' in after.body
    assert b'"released":false' in after.body
