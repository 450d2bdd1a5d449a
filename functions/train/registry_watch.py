"""Waiting for the registry, and loading MLflow's client, beside the work on the data."""

from __future__ import annotations

import importlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from functions.train.errors import ServiceMissing
from functions.train.stages import stage
from shared.registry.client import ModelVersion, RegistryClient
from shared.registry.errors import RegistryUnavailable

POLL_S = 0.25


class RegistryWatch:
    """Asks in a thread of its own which version an alias names, from now on until the registry answers.

    Args:
        client: The registry.
        name: Registered model.
        alias: Alias to look up.
        wait_s: How long to wait for the registry.
    """

    def __init__(self, client: RegistryClient, name: str, alias: str, wait_s: float) -> None:
        self._client = client
        self._name, self._alias = name, alias
        self._wait_s = wait_s
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="registry")
        self._found: Future[ModelVersion | None] = self._pool.submit(self._look_up)
        self._loaded: Future[None] | None = None

    def found_within(self, seconds: float) -> ModelVersion | None:
        """Return the version, or None when there is none or the registry has not answered within the time."""
        try:
            return self._found.result(seconds)
        except TimeoutError:
            return None

    def found(self) -> ModelVersion | None:
        """Return the version, or None when the alias names none; waits for the registry.

        Raises:
            ServiceMissing: The registry did not answer in time.
        """
        return self._found.result()

    def load_client(self) -> None:
        """Begin to import MLflow's client."""
        # In the caller's context, which holds the trace that log lines belong to.
        self._loaded = self._pool.submit(copy_context().run, _load_client)

    def client_loaded(self) -> None:
        """Wait until MLflow's client is imported, if it was begun."""
        if self._loaded is not None:
            self._loaded.result()

    def _look_up(self) -> ModelVersion | None:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                return self._client.version_by_alias(self._name, self._alias)
            except RegistryUnavailable as error:
                if time.monotonic() > deadline:
                    raise ServiceMissing(f"the registry did not answer within {self._wait_s:g} s: {error}") from error
            time.sleep(POLL_S)


def _load_client() -> None:
    with stage("load MLflow's client"):
        importlib.import_module("functions.train.publish")
