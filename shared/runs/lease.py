"""One at a time, across all replicas: a lease is an object that is only ever replaced by whoever saw its last content.

The holder renews it in the background. A holder that was killed renews no more, and once the storage itself has seen
no renewal for the lease's length, the next who asks takes it over; nobody's clock but the storage's is looked at.
A process that was stopped for longer than that and goes on may believe for a moment that it still holds it, hence the
fence: a number that grows with every holder. `Held.check` asks the storage before work is made visible, and what is
made visible can carry the number.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from pydantic import BaseModel

from shared.lake.errors import LakeAway
from shared.lake.objects import Beaten, Objects, Stored

_log = logging.getLogger(__name__)
FOLDER: Final = "_leases"
_RENEWALS_PER_LENGTH: Final = 4


class LeaseTaken(Exception):
    """Somebody else holds the lease."""


class LeaseLost(Exception):
    """The lease was taken over; whatever is under way must not be made visible."""


class _Content(BaseModel):
    holder: str
    fence: int
    seconds: float
    renewals: int = 0  # an etag is a digest: every renewal has to be another content
    released: bool = False

    def open_to_all(self, stored: Stored) -> bool:
        # The storage tells its time in whole seconds.
        return self.released or stored.age > timedelta(seconds=self.seconds + 1)


class Held:
    """A lease that is held and being renewed.

    Attributes:
        fence: Larger than that of every holder before.
    """

    def __init__(self, objects: Objects, key: str, content: _Content, etag: str) -> None:
        self._objects = objects
        self._key = key
        self._content = content
        self._etag = etag
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lost = False
        self.fence = content.fence
        self._renewer = threading.Thread(target=self._keep, name=f"lease {key}", daemon=True)

    def check(self) -> None:
        """Renew the lease now.

        Raises:
            LeaseLost: Somebody else has it.
            LakeAway: The storage does not answer.
        """
        with self._lock:
            if self._lost:
                raise LeaseLost(f"{self._key} was taken over")
            renewed = self._content.model_copy(update={"renewals": self._content.renewals + 1})
            try:
                self._etag = self._objects.put_if(self._key, renewed.model_dump_json().encode(), self._etag)
            except Beaten:
                self._etag = self._after_lost_answer(renewed)
            self._content = renewed

    def _after_lost_answer(self, renewed: _Content) -> str:
        """Our own renewal may be what beat us: its answer was lost and the client sent it again."""
        stored = self._objects.get(self._key)
        if stored is not None and _Content.model_validate_json(stored.body) == renewed:
            return stored.etag
        self._lost = True
        raise LeaseLost(f"{self._key} was taken over")

    def _start(self) -> None:
        self._renewer.start()

    def _keep(self) -> None:
        while not self._ended.wait(self._content.seconds / _RENEWALS_PER_LENGTH):
            try:
                self.check()
            except LeaseLost as lost:
                _log.error("%s", lost)
                return
            except LakeAway as away:
                _log.warning("lease %s could not be renewed: %s", self._key, away)

    def _release(self) -> None:
        self._ended.set()
        self._renewer.join()
        body = self._content.model_copy(update={"released": True}).model_dump_json().encode()
        try:
            if not self._lost:
                self._objects.put_if(self._key, body, self._etag)
        except (Beaten, LakeAway) as error:
            _log.warning("lease %s was not given back and runs out by itself: %r", self._key, error)


class Leases:
    """Leases by name.

    Args:
        objects: Objects of the lake under `FOLDER`.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @contextmanager
    def hold(self, name: str, seconds: float = 60.0) -> Iterator[Held]:
        """Hold a lease for the length of a block.

        Args:
            name: Of the lease, such as "train".
            seconds: After so long without renewal others may take it; at least 4.

        Raises:
            LeaseTaken: Somebody else holds it; asked again after `seconds` a dead holder's lease is free.
            LakeAway: The storage does not answer.
        """
        held = self._acquire(f"{name}.json", seconds)
        held._start()  # noqa: SLF001 - one class in two halves
        try:
            yield held
        finally:
            held._release()  # noqa: SLF001

    def _acquire(self, key: str, seconds: float) -> Held:
        holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        stored = self._objects.get(key)
        fence = 1
        if stored is not None:
            last = _Content.model_validate_json(stored.body)
            if not last.open_to_all(stored):
                raise LeaseTaken(f"{key.removesuffix('.json')} is held by {last.holder}")
            if not last.released:
                _log.warning("taking over the lease %s: %s has not renewed it", key, last.holder)
            fence = last.fence + 1
        content = _Content(holder=holder, fence=fence, seconds=seconds)
        body = content.model_dump_json().encode()
        try:
            etag = self._objects.put_if(key, body, None if stored is None else stored.etag)
        except Beaten:
            # Ours, if its first answer was lost: the holder's name is random.
            now = self._objects.get(key)
            if now is None or now.body != body:
                raise LeaseTaken(f"{key.removesuffix('.json')} was taken by another at this moment") from None
            etag = now.etag
        return Held(self._objects, key, content, etag)
