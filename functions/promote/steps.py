"""The steps in the registry, in an order that leaves a champion at every moment.

The scorers follow the alias `champion`. It is moved in one step and never taken away; a run that is cut off leaves a
state that the next one recognises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import orjson

from functions.promote.verdict import Verdict
from shared.contracts.event_time import to_rfc3339
from shared.registry.aliases import CHALLENGER, CHAMPION, PREVIOUS
from shared.registry.client import ModelVersion

VERDICT_TAG: Final = "promotion"
REASONS_TAG: Final = "promotion_reasons"
MOMENT_TAG: Final = "promotion_as_of"


class Registry(Protocol):
    """What is asked of `shared.registry.aliases.AliasRegistry`."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """Return the version an alias names."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version, in one step."""

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""


class RegistryMoved(Exception):
    """An alias names another version than the one that was weighed."""


class NothingToRollBack(Exception):
    """There is no previous champion to go back to."""


def carry_out(
    registry: Registry, champion: ModelVersion, challenger: ModelVersion, verdict: Verdict, as_of_ms: int
) -> None:
    """Tag the challenger with the verdict and its reasons, and move aliases as it says.

    Promoted: `previous` names the old champion, `champion` the challenger, then `challenger` is taken away. Rejected:
    `challenger` is taken away. Kept: nothing moves.

    Raises:
        RegistryMoved: Somebody moved an alias meanwhile; nothing was moved here.
        RegistryUnavailable: The registry does not take a step; the next run goes on from there.
    """
    name = champion.name
    for alias, version in ((CHAMPION, champion), (CHALLENGER, challenger)):
        now = registry.version_by_alias(name, alias)
        if now is None or now.version != version.version:
            raise RegistryMoved(f"{name}@{alias} is no longer version {version.version}")
    _tag(registry, challenger, verdict.decision, verdict.reasons, as_of_ms)
    if verdict.decision == "promoted":
        registry.set_alias(name, PREVIOUS, champion.version)
        registry.set_alias(name, CHAMPION, challenger.version)
    if verdict.decision != "kept":
        take_challenger_away(registry, challenger)


def take_challenger_away(registry: Registry, challenger: ModelVersion) -> None:
    """Take the alias `challenger` away, unless a training has put it on a newer version by now."""
    now = registry.version_by_alias(challenger.name, CHALLENGER)
    if now is not None and now.version == challenger.version:
        registry.delete_alias(challenger.name, CHALLENGER)


def roll_back(registry: Registry, name: str, as_of_ms: int) -> tuple[ModelVersion, ModelVersion]:
    """Make the previous champion the champion again; the present one becomes `previous`.

    Returns:
        The champion from now on, and the one until now.

    Raises:
        NothingToRollBack: No other version is `previous`.
        RegistryUnavailable: The registry does not take a step.
    """
    champion, previous = (registry.version_by_alias(name, alias) for alias in (CHAMPION, PREVIOUS))
    if champion is None or previous is None:
        raise NothingToRollBack(f"{name} has no {'previous version' if champion else 'champion'}")
    if champion.version == previous.version:
        raise NothingToRollBack(f"version {previous.version} is the champion already")
    registry.set_alias(name, CHAMPION, previous.version)
    registry.set_alias(name, PREVIOUS, champion.version)
    reason = f"version {previous.version} was made the champion again"
    _tag(registry, champion, "rolled_back", [reason], as_of_ms)
    return previous, champion


def _tag(registry: Registry, version: ModelVersion, decision: str, reasons: Sequence[str], as_of_ms: int) -> None:
    registry.set_tag(version.name, version.version, VERDICT_TAG, decision)
    registry.set_tag(version.name, version.version, REASONS_TAG, orjson.dumps(list(reasons)).decode())
    registry.set_tag(version.name, version.version, MOMENT_TAG, to_rfc3339(as_of_ms))
