"""Moves in the registry: a champion at every moment, and every cut-off run recovered from."""

import orjson
import pytest

from functions.promote.steps import NothingToRollBack, RegistryMoved, carry_out, roll_back
from functions.promote.verdict import Verdict
from shared.registry.client import ModelVersion
from shared.registry.errors import RegistryUnavailable


class Registry:
    """Aliases in memory; fails at the chosen write, and keeps what each moment's reader would have seen."""

    def __init__(self, fail_at=None, **aliases):
        self.aliases, self.tags, self.seen = dict(aliases), {}, []
        self._fail_at, self._writes = fail_at, 0

    def version_by_alias(self, name, alias):
        version = self.aliases.get(alias)
        return None if version is None else ModelVersion(name, version, f"run-{version}", 0, (alias,), {})

    def set_alias(self, name, alias, version):
        self._count()
        self.aliases[alias] = version
        self.seen.append(dict(self.aliases))

    def delete_alias(self, name, alias):
        self._count()
        self.aliases.pop(alias)
        self.seen.append(dict(self.aliases))

    def set_tag(self, name, version, key, value):
        self._count()
        self.tags[version, key] = value

    def _count(self):
        self._writes += 1
        if self._writes == self._fail_at:
            raise RegistryUnavailable("cut off")


def version(number):
    return ModelVersion("fraud", number, f"run-{number}", 0, (), {})


PROMOTED = Verdict("promoted", ["average precision better"])


def test_promoted():
    registry = Registry(champion="1", challenger="2", previous="0")
    carry_out(registry, version("1"), version("2"), PROMOTED, 0)
    assert registry.aliases == {"champion": "2", "previous": "1"}
    assert all("champion" in seen for seen in registry.seen)
    assert registry.tags["2", "promotion"] == "promoted"
    assert orjson.loads(registry.tags["2", "promotion_reasons"]) == ["average precision better"]
    assert registry.tags["2", "promotion_as_of"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(("decision", "left"), [("kept", {"challenger": "2"}), ("rejected", {})])
def test_kept_and_rejected(decision, left):
    registry = Registry(champion="1", challenger="2")
    carry_out(registry, version("1"), version("2"), Verdict(decision, ["why"]), 0)
    assert registry.aliases == {"champion": "1", **left}
    assert registry.tags["2", "promotion"] == decision


@pytest.mark.parametrize("fail_at", range(1, 7))
def test_a_promotion_cut_off_at_any_step_has_a_champion_and_goes_on(fail_at):
    registry = Registry(fail_at, champion="1", challenger="2")
    with pytest.raises(RegistryUnavailable):
        carry_out(registry, version("1"), version("2"), PROMOTED, 0)
    assert registry.aliases["champion"] in {"1", "2"}
    if registry.aliases["champion"] == "1":  # the next run weighs and promotes again
        carry_out(registry, version("1"), version("2"), PROMOTED, 0)
        assert registry.aliases == {"champion": "2", "previous": "1"}
    else:  # the next run sees that the challenger is the champion, and takes the alias away
        assert registry.aliases == {"champion": "2", "previous": "1", "challenger": "2"}


@pytest.mark.parametrize("moved", [{"champion": "9"}, {"challenger": "9"}])
def test_an_alias_that_moved_meanwhile_stops_everything(moved):
    registry = Registry(**{"champion": "1", "challenger": "2"} | moved)
    with pytest.raises(RegistryMoved):
        carry_out(registry, version("1"), version("2"), PROMOTED, 0)
    assert registry.tags == {}
    assert registry.seen == []


def test_rolled_back_and_forth():
    registry = Registry(champion="2", previous="1")
    now, former = roll_back(registry, "fraud", 0)
    assert (now.version, former.version) == ("1", "2")
    assert registry.aliases == {"champion": "1", "previous": "2"}
    assert all("champion" in seen for seen in registry.seen)
    assert registry.tags["2", "promotion"] == "rolled_back"
    roll_back(registry, "fraud", 0)
    assert registry.aliases == {"champion": "2", "previous": "1"}


@pytest.mark.parametrize(
    ("aliases", "reason"),
    [
        ({"champion": "1"}, "fraud has no previous version"),
        ({}, "fraud has no champion"),
        ({"champion": "1", "previous": "1"}, "version 1 is the champion already"),
    ],
)
def test_nothing_to_roll_back(aliases, reason):
    with pytest.raises(NothingToRollBack, match=reason):
        roll_back(Registry(**aliases), "fraud", 0)
