"""A model follower that holds what it is given."""

from __future__ import annotations

from functools import cache
from typing import Any

from shared.registry.errors import ModelUnavailable
from shared.registry.follower import CurrentModel
from shared.scoring.bundle import read_bundle
from tests.support.scoring.small_bundle import RULES, Rule, small_bundle


@cache
def model(version: str = "1", rules: tuple[Rule, ...] = RULES, alias: str = "champion", **options: Any) -> CurrentModel:
    """A small model ready to score."""
    return CurrentModel(version, alias, f"run-{version}", read_bundle(small_bundle(rules=rules, **options)))


class FakeModels:
    """Stands in for `shared.registry.follower.ModelFollower`."""

    def __init__(self, current: CurrentModel | None) -> None:
        self.held = current
        self.started = 0
        self.asked = 0

    @property
    def current(self) -> CurrentModel:
        self.asked += 1
        if self.held is None:
            raise ModelUnavailable("no model in this test")
        return self.held

    def start(self) -> None:
        self.started += 1
