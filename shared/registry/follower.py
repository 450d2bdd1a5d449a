"""Follows an alias of the registry and holds the model it names, ready to score.

A new version is downloaded, checked on its golden rows and warmed beside the old one in a background thread; then
one reference is swapped. Whoever scores takes :attr:`ModelFollower.current` once per request and is never between
two models.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.registry.client import ModelVersion
from shared.registry.disk_copy import DiskCopy, StoredModel
from shared.registry.errors import ModelUnavailable, RegistryUnavailable
from shared.scoring.bundle import Bundle, read_bundle
from shared.scoring.errors import BundleError
from shared.scoring.policy import Policy
from shared.scoring.predictor import Predictor

log = logging.getLogger(__name__)

POLL_S = 5.0
POLL_WITHOUT_MODEL_S = 0.5
RETRY_REFUSED_S = 60.0
_JITTER = 0.2


class Registry(Protocol):
    """What a follower asks of a registry; :class:`shared.registry.client.RegistryClient` is one."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """Return the version an alias names, or None when there is none."""

    def download_bundle(self, version: ModelVersion) -> bytes:
        """Return the bytes of a version's serving bundle, checked."""


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """One model version ready to score: a snapshot that never changes.

    Attributes:
        version: Number in the registry, as text.
        alias: The alias that named it.
        run_id: The training run that made it.
        bundle: Everything of it.
    """

    version: str
    alias: str
    run_id: str
    bundle: Bundle

    @property
    def predictor(self) -> Predictor:
        """Predictor for complete feature vectors."""
        return self.bundle.main.predictor

    @property
    def policy(self) -> Policy:
        """Thresholds for the scores of :attr:`predictor`."""
        return self.bundle.main.policy

    @property
    def request_only(self) -> Predictor:
        """Predictor for what the request alone says."""
        return self.bundle.request_only.predictor

    @property
    def request_only_policy(self) -> Policy:
        """Thresholds for the scores of :attr:`request_only`."""
        return self.bundle.request_only.policy


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the owner of a follower wants to hear, for its metrics; called in the follower's thread.

    Attributes:
        on_swap: Another model is current; None when an optional model's alias is gone.
        on_refused: A version was not taken, with the reason; the old model goes on.
        on_error: The registry could not be asked, with the reason; called at each failed poll.
    """

    on_swap: Callable[[CurrentModel | None], None] = lambda _current: None
    on_refused: Callable[[str, str], None] = lambda _version, _reason: None
    on_error: Callable[[str], None] = lambda _reason: None


def accept_all(_bundle: Bundle) -> None:
    """Take every bundle that reads well."""


class ModelFollower:
    """Holds the model an alias names, and follows the alias.

    Args:
        registry: Where to ask.
        folder: State folder of this replica, for the last good copy.
        name: Registered model.
        alias: Alias to follow.
        required: A required model stays when its alias is gone from the registry; an optional one (a challenger)
            is dropped then.
        poll_s: Seconds between two polls, jittered by a fifth.
        accept: Looks at a bundle before it is taken and raises :class:`BundleError` to refuse it.
        callbacks: What the owner wants to hear.
    """

    def __init__(  # noqa: PLR0913 - keyword-only collaborators of a composition root
        self,
        registry: Registry,
        folder: Path,
        *,
        name: str = "fraud",
        alias: str = "champion",
        required: bool = True,
        poll_s: float = POLL_S,
        accept: Callable[[Bundle], None] = accept_all,
        callbacks: Callbacks | None = None,
    ) -> None:
        self.name = name
        self.alias = alias
        self._registry = registry
        self._disk = DiskCopy(folder / "models" / name / alias)
        self._required = required
        self._poll_s = poll_s
        self._accept = accept
        self._callbacks = callbacks or Callbacks()
        self._current: CurrentModel | None = None
        self._answered = False
        self._refused: tuple[str, str | None] | None = None
        self._refused_at = 0.0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def current(self) -> CurrentModel:
        """The model to score with now.

        Raises:
            ModelUnavailable: The registry has given none yet and the disk holds no good copy.
        """
        current = self._current
        if current is None:
            raise ModelUnavailable(f"no model {self.name}@{self.alias}: neither the registry nor the disk has one")
        return current

    @property
    def answered(self) -> bool:
        """Whether one poll was worked through to its end: from then on, no model means that there is none to take.

        Until then it may only mean that the registry is away or the first download is under way.
        """
        return self._answered

    def start(self) -> None:
        """Take the disk copy at once if there is one, and follow the registry in the background from now on."""
        if self._thread is not None:
            raise RuntimeError("the follower was started already")
        self._load_disk_copy()
        self._thread = threading.Thread(target=self._follow, name=f"follow-{self.alias}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following; the current model stays."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def wait(self, timeout_s: float) -> CurrentModel:
        """Return the current model, waiting for the first one if need be.

        Raises:
            ModelUnavailable: None came within the time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._current is not None, timeout_s)
        return self.current

    def poll(self) -> None:
        """Ask the registry once and swap if the alias names another version; the thread does this by itself."""
        try:
            version = self._registry.version_by_alias(self.name, self.alias)
            if version is None:
                self._alias_gone()
            elif not self._is_current(version) and not self._was_refused(version):
                self._take(version)
            self._answered = True
        except RegistryUnavailable as error:
            self._callbacks.on_error(str(error))

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self.poll()
            pause = self._poll_s if self._current is not None else min(self._poll_s, POLL_WITHOUT_MODEL_S)
            self._stopping.wait(pause * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads polls

    def _load_disk_copy(self) -> None:
        try:
            stored = self._disk.load()
            if stored is not None:
                self._swap(CurrentModel(stored.version, self.alias, stored.run_id, self._read(stored.data)))
        except BundleError as error:
            log.warning("disk copy refused", extra={"alias": self.alias, "reason": str(error)})
            self._callbacks.on_refused("disk copy", str(error))

    def _take(self, version: ModelVersion) -> None:
        try:
            data = self._registry.download_bundle(version)
            current = CurrentModel(version.version, self.alias, version.run_id, self._read(data))
        except BundleError as error:
            self._refuse(version, str(error))
            return
        self._swap(current)
        self._refused = None
        try:
            self._disk.store(StoredModel(version.version, version.run_id, current.bundle.sha256, data))
        except OSError as error:
            log.warning("no disk copy kept", extra={"alias": self.alias, "reason": str(error)})
            self._callbacks.on_error(f"the disk copy of version {version.version} cannot be written: {error}")

    def _read(self, data: bytes) -> Bundle:
        bundle = read_bundle(data)
        self._accept(bundle)
        return bundle

    def _swap(self, current: CurrentModel | None) -> None:
        with self._changed:
            self._current = current
            self._changed.notify_all()
        version = current.version if current else None
        log.info("model swapped", extra={"alias": self.alias, "model_version": version})
        self._callbacks.on_swap(current)

    def _alias_gone(self) -> None:
        self._refused = None
        if self._required or self._current is None:
            return
        self._disk.remove()
        self._swap(None)

    def _is_current(self, version: ModelVersion) -> bool:
        # The digest too: a registry that was made anew counts its versions from 1 again.
        current = self._current
        return (
            current is not None
            and (current.version, current.run_id) == (version.version, version.run_id)
            and version.bundle_sha256 == current.bundle.sha256
        )

    def _was_refused(self, version: ModelVersion) -> bool:
        """Whether this version was refused a moment ago; once a minute it is tried again all the same."""
        same = self._refused == (version.version, version.bundle_sha256)
        return same and time.monotonic() - self._refused_at < RETRY_REFUSED_S

    def _refuse(self, version: ModelVersion, reason: str) -> None:
        self._refused, self._refused_at = (version.version, version.bundle_sha256), time.monotonic()
        log.error("model refused", extra={"alias": self.alias, "model_version": version.version, "reason": reason})
        self._callbacks.on_refused(version.version, reason)
