import threading
import time

import numpy as np
import pytest

from shared.registry import follower as follower_module
from shared.registry.errors import ModelUnavailable
from shared.registry.follower import Callbacks, ModelFollower
from shared.scoring.bundle import read_bundle
from shared.scoring.errors import BundleError
from shared.scoring.policy import Policy
from tests.support.registry.fake_registry import FakeRegistry
from tests.support.scoring.small_bundle import Rule, small_bundle

FIRST = small_bundle()
SECOND = small_bundle(rules=(Rule("amount", 1, 8.0),), policy=Policy(0.8, 0.3))


class Heard:
    def __init__(self):
        self.swaps, self.refusals, self.errors = [], [], []
        self.callbacks = Callbacks(
            on_swap=lambda current: self.swaps.append(current and current.version),
            on_refused=lambda version, reason: self.refusals.append((version, reason)),
            on_error=self.errors.append,
        )


@pytest.fixture
def registry():
    return FakeRegistry()


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def follower(registry, tmp_path, heard):
    return ModelFollower(registry, tmp_path, callbacks=heard.callbacks)


def other(registry, folder, **settings):
    """Another replica's follower over the same state folder."""
    return ModelFollower(registry, folder, **settings)


def test_without_a_model_anywhere_there_is_none(follower):
    follower.poll()
    with pytest.raises(ModelUnavailable, match="fraud@champion"):
        _ = follower.current


def test_says_whether_the_registry_has_answered(registry, follower):
    registry.away = True
    follower.poll()
    assert not follower.answered
    registry.away = False
    follower.poll()
    assert follower.answered
    registry.away = True
    follower.poll()
    assert follower.answered


def test_takes_the_version_the_alias_names(registry, follower, heard):
    registry.register("3", FIRST)
    follower.poll()
    current = follower.current
    assert (current.version, current.alias, current.run_id) == ("3", "champion", "run-3")
    assert current.policy == read_bundle(FIRST).main.policy
    assert current.predictor.features == read_bundle(FIRST).main.features
    assert current.request_only.features == read_bundle(FIRST).request_only.features
    assert heard.swaps == ["3"]


def test_swaps_when_the_alias_moves_and_old_snapshots_stay_whole(registry, follower, heard):
    registry.register("1", FIRST)
    follower.poll()
    before = follower.current
    registry.register("2", SECOND)
    follower.poll()
    assert follower.current.version == "2"
    assert follower.current.policy.decline_at == 0.8
    assert before.version == "1"
    assert before.policy.decline_at == 0.9
    assert heard.swaps == ["1", "2"]


def test_an_alias_that_stands_still_costs_no_download(registry, follower):
    registry.register("1", FIRST)
    for _ in range(3):
        follower.poll()
    assert registry.downloads == 1


def test_a_registry_made_anew_is_noticed_under_the_same_number(registry, follower):
    registry.register("1", FIRST)
    follower.poll()
    registry.register("1", SECOND)
    follower.poll()
    assert follower.current.policy.decline_at == 0.8


def test_a_refused_version_leaves_the_old_one_and_is_not_asked_for_at_each_poll(registry, follower, heard):
    registry.register("1", FIRST)
    follower.poll()
    registry.register("2", SECOND[:500])
    for _ in range(3):
        follower.poll()
    assert follower.current.version == "1"
    assert [version for version, _ in heard.refusals] == ["2"]
    assert "ZIP" in heard.refusals[0][1]
    assert registry.downloads == 2


def test_a_refused_version_is_tried_again_later(registry, follower, monkeypatch):
    registry.register("1", b"junk")
    follower.poll()
    monkeypatch.setattr(follower_module, "RETRY_REFUSED_S", 0.0)
    follower.poll()
    assert registry.downloads == 2


def test_going_back_from_a_refused_version_is_seamless(registry, follower, heard):
    registry.register("1", FIRST)
    follower.poll()
    registry.register("2", b"junk")
    follower.poll()
    registry.register("1", FIRST)
    follower.poll()
    assert follower.current.version == "1"
    assert heard.swaps == ["1"]


def test_the_owner_may_refuse(registry, tmp_path, heard):
    def accept(bundle):
        if bundle.main.policy.decline_at == 0.8:
            raise BundleError("feature 'x' is not in the catalogue")

    follower = ModelFollower(registry, tmp_path, accept=accept, callbacks=heard.callbacks)
    registry.register("1", FIRST)
    follower.poll()
    registry.register("2", SECOND)
    follower.poll()
    assert follower.current.version == "1"
    assert heard.refusals == [("2", "feature 'x' is not in the catalogue")]


def test_registry_away_goes_on_with_what_it_has(registry, follower, heard):
    registry.register("1", FIRST)
    follower.poll()
    registry.away = True
    follower.poll()
    assert follower.current.version == "1"
    assert heard.errors == ["the registry is away"]


def test_cold_start_with_the_registry_away_takes_the_disk_copy(registry, follower, tmp_path):
    registry.register("7", FIRST)
    follower.poll()
    registry.away = True
    replica = other(registry, tmp_path)
    replica.start()
    try:
        assert replica.current.version == "7"
        assert replica.current.run_id == "run-7"
        row = np.zeros((1, len(replica.current.predictor.features)), np.float32)
        assert replica.current.predictor.score(row) == follower.current.predictor.score(row)
    finally:
        replica.stop()


def test_cold_start_with_a_disk_copy_does_not_wait_for_a_registry_that_hangs(registry, follower, tmp_path):
    registry.register("7", FIRST)
    follower.poll()
    answer = threading.Event()

    class Hanging:
        def version_by_alias(self, name, alias):
            answer.wait(10)
            return registry.version_by_alias(name, alias)

        download_bundle = registry.download_bundle

    registry.register("8", SECOND)
    replica = other(Hanging(), tmp_path)
    started = time.monotonic()
    replica.start()
    try:
        assert replica.current.version == "7"
        assert time.monotonic() - started < 1.0
        answer.set()
        deadline = time.monotonic() + 10
        while replica.current.version != "8":
            assert time.monotonic() < deadline, "the newer version was never taken"
            time.sleep(0.01)
    finally:
        answer.set()
        replica.stop()


def test_a_current_disk_copy_is_not_downloaded_again(registry, follower, tmp_path):
    registry.register("7", FIRST)
    follower.poll()
    replica = other(registry, tmp_path)
    replica.start()
    replica.stop()
    assert replica.current.version == "7"
    assert registry.downloads == 1


@pytest.mark.parametrize("damage", ["bundle", "index"])
def test_a_corrupt_disk_copy_is_refused_and_the_registry_asked(registry, follower, tmp_path, heard, damage):
    registry.register("1", FIRST)
    follower.poll()
    [path] = tmp_path.rglob("bundle-*.zip" if damage == "bundle" else "current.json")
    path.write_bytes(path.read_bytes()[:-7])
    replica = other(registry, tmp_path, callbacks=heard.callbacks)
    replica.start()
    try:
        assert replica.wait(10).version == "1"
    finally:
        replica.stop()
    assert heard.refusals[-1][0] == "disk copy"
    assert registry.downloads == 2
    again = other(registry, tmp_path)
    registry.away = True
    again.start()
    again.stop()
    assert again.current.version == "1", "the disk copy was not repaired"


def test_each_alias_has_its_own_disk_copy(registry, tmp_path):
    registry.register("1", FIRST, "champion")
    registry.register("2", SECOND, "challenger")
    for alias in ("champion", "challenger"):
        other(registry, tmp_path, alias=alias).poll()
    registry.away = True
    found = {}
    for alias in ("champion", "challenger"):
        replica = other(registry, tmp_path, alias=alias)
        replica.start()
        replica.stop()
        found[alias] = replica.current.version
    assert found == {"champion": "1", "challenger": "2"}


def test_a_required_model_outlives_its_alias(registry, follower):
    registry.register("1", FIRST)
    follower.poll()
    registry.aliases.clear()
    follower.poll()
    assert follower.current.version == "1"


def test_an_optional_model_goes_with_its_alias_and_its_disk_copy_too(registry, tmp_path, heard):
    follower = other(registry, tmp_path, alias="challenger", required=False, callbacks=heard.callbacks)
    registry.register("2", SECOND, "challenger")
    follower.poll()
    registry.aliases.clear()
    follower.poll()
    follower.poll()
    assert heard.swaps == ["2", None]
    with pytest.raises(ModelUnavailable):
        _ = follower.current
    replica = other(registry, tmp_path, alias="challenger", required=False)
    registry.away = True
    replica.start()
    replica.stop()
    with pytest.raises(ModelUnavailable):
        _ = replica.current


def test_a_disk_that_cannot_be_written_costs_the_copy_and_not_the_model(registry, tmp_path, heard):
    (tmp_path / "models").write_text("a file where the folder should be")
    follower = other(registry, tmp_path, callbacks=heard.callbacks)
    registry.register("1", FIRST)
    follower.poll()
    assert follower.current.version == "1"
    assert "disk copy" in heard.errors[0]


def test_the_thread_finds_the_first_model_when_the_registry_comes_up(registry, follower):
    registry.away = True
    follower.start()
    try:
        with pytest.raises(ModelUnavailable):
            follower.wait(0.05)
        registry.register("1", FIRST)
        registry.away = False
        assert follower.wait(10).version == "1"
    finally:
        follower.stop()


def test_scoring_goes_on_whole_while_models_are_swapped(registry, tmp_path):
    """Every snapshot's predictor and policy belong together, however often the alias moves meanwhile."""
    follower = other(registry, tmp_path, poll_s=0.001)
    registry.register("1", FIRST)
    follower.start()
    follower.wait(10)
    wanted = {"1": 0.9, "2": 0.8}
    row = np.zeros((1, len(follower.current.predictor.features)), np.float32)
    row[0, 0] = 10
    scores = {v: read_bundle(b).main.predictor.score(row)[0] for v, b in (("1", FIRST), ("2", SECOND))}
    seen = set()
    try:
        for turn in range(200):
            registry.register("12"[turn % 2], (FIRST, SECOND)[turn % 2])
            for _ in range(20):
                current = follower.current
                assert current.policy.decline_at == wanted[current.version]
                assert current.predictor.score(row)[0] == scores[current.version]
                seen.add(current.version)
            time.sleep(0.001)
    finally:
        follower.stop()
    assert seen == {"1", "2"}
