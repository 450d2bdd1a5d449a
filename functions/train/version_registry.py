"""Registering versions so that all of them are there with their aliases, or none is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlflow.exceptions import MlflowException
from requests import RequestException

log = logging.getLogger(__name__)

STATE_TAG = "registration"
PENDING = "pending"
COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A logged model that is to become a version.

    Attributes:
        alias: The alias it gets.
        run_id: Its run.
        source: URI of the logged model.
        model_id: Id of the logged model.
        tags: Tags of the version.
    """

    alias: str
    run_id: str
    source: str
    model_id: str
    tags: Mapping[str, str]


class Client(Protocol):
    """What is needed of `mlflow.MlflowClient`."""

    def search_registered_models(self, filter_string: str) -> Sequence[Any]:
        """Return registered models."""

    def create_registered_model(self, name: str) -> Any:
        """Make a registered model."""

    def create_model_version(self, name: str, source: str, run_id: str, tags: dict[str, str], *, model_id: str) -> Any:
        """Make a version."""

    def search_model_versions(self, filter_string: str) -> Sequence[Any]:
        """Return versions."""

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version."""

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag."""


def register(client: Client, name: str, versions: Sequence[NewVersion]) -> dict[str, str]:
    """Register versions and point their aliases at them; return the version of each alias.

    Aliases are set when all versions are there, the most important last: it says that the rest is done. When a step
    fails, what was made is taken back as far as the registry still answers; what could not be taken back is marked
    pending and goes with the next registration.

    Args:
        client: MLflow's client.
        name: Registered model.
        versions: The most important comes first.
    """
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    former = sweep(client, name)
    made: dict[str, str] = {}
    aliased: list[str] = []
    try:
        for new in versions:
            tags = {**new.tags, STATE_TAG: PENDING}
            version = client.create_model_version(name, new.source, new.run_id, tags, model_id=new.model_id)
            made[new.alias] = str(version.version)
        for alias, number in reversed(made.items()):
            client.set_registered_model_alias(name, alias, number)
            aliased.append(alias)
    except BaseException:
        _take_back(client, name, made, {alias: former.get(alias) for alias in aliased})
        raise
    for number in made.values():
        client.set_model_version_tag(name, number, STATE_TAG, COMPLETE)
    return made


def sweep(client: Client, name: str) -> dict[str, str]:
    """Delete versions of a registration that was cut off; those that got their alias were complete.

    Returns:
        The version of each alias.
    """
    [model] = client.search_registered_models(f"name = '{name}'")
    aliases = {alias: str(number) for alias, number in dict(model.aliases).items()}
    in_use = set(aliases.values())
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(STATE_TAG) != PENDING:
            continue
        if str(version.version) in in_use:
            client.set_model_version_tag(name, str(version.version), STATE_TAG, COMPLETE)
        else:
            client.delete_model_version(name, str(version.version))
    return aliases


def _take_back(client: Client, name: str, made: Mapping[str, str], moved: Mapping[str, str | None]) -> None:
    """Delete what was made, and point the aliases that were moved where they pointed before."""
    try:
        for alias, former in moved.items():
            if former is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, former)
        for number in made.values():
            client.delete_model_version(name, number)
    except (MlflowException, RequestException):
        # The failure that led here is the one to report; what is left is swept by the next registration.
        log.warning("registered versions could not be taken back", exc_info=True, extra={"versions": list(made)})
