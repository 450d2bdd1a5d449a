"""The feature store behind a time limit: an answer in time, with or without it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, Protocol

from redis.exceptions import RedisError, ResponseError

from shared.contracts.decision import FeatureValue
from shared.contracts.transaction import Transaction
from shared.features.online import FeatureRead

_log = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.25
_TURNS: Final = 5
_LOG_PAUSE_SECONDS: Final = 10.0


class FeatureStore(Protocol):
    """The online feature engine."""

    async def record_and_read_each(self, transactions: Sequence[Transaction]) -> list[FeatureRead | ResponseError]:
        """Record transactions and read their features in one round trip; what the store refuses has its error."""

    def request_only_vector(self, transaction: Transaction) -> tuple[FeatureValue, ...]:
        """Features of a transaction alone, the others None."""


class StoreAway(Exception):
    """The store did not answer in time.

    Attributes:
        reason: ``store_timeout``, ``store_error``, or ``store_away`` while it is left alone after one of them.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Deadline:
    """Cancels a task, a few turns of the event loop after its time is up.

    On a busy machine this process may not have run for a while. The event loop then sees the timer before the reply
    that has long been there; the turns let it in.
    """

    def __init__(self, task: "asyncio.Task[object]") -> None:
        self._task = task
        self._turns = _TURNS
        self.expired = False
        self.over = False

    def expire(self) -> None:
        """Count a turn; cancel after the last one unless the work is done."""
        if self.over:
            return
        if self._turns:
            self._turns -= 1
            asyncio.get_running_loop().call_soon(self.expire)
            return
        self.expired = True
        self._task.cancel()


class StoreGuard:
    """Limits the wait for the store, and leaves it alone for a moment after a failure.

    Without the pause every batch would wait for the time limit while the store is away, and the queue behind it too.
    """

    def __init__(self, store: FeatureStore, timeout_seconds: float) -> None:
        self._store = store
        self._timeout = timeout_seconds
        self._away_until = 0.0
        self._away = False
        self._log_from = 0.0

    async def record_and_read(self, transactions: Sequence[Transaction]) -> list[FeatureRead | None]:
        """Record and read within the time limit.

        A store that answers too late has recorded the transactions all the same; recording them again changes nothing.

        Returns:
            What was read of each transaction; None of one that the store refused, for its key has a wrong type, say.

        Raises:
            StoreAway: No answer in time.
        """
        if time.monotonic() < self._away_until:
            raise StoreAway("store_away")
        try:
            reads = await self._in_time(transactions)
        except TimeoutError:
            raise self._leave_alone("store_timeout", f"no answer in {self._timeout * 1e3:.0f} ms") from None
        except (RedisError, OSError) as error:
            raise self._leave_alone("store_error", str(error)) from error
        if self._away:
            self._away = False
            _log.warning("the feature store is back")
        return [self._unless_refused(read) for read in reads]

    def _unless_refused(self, read: FeatureRead | ResponseError) -> FeatureRead | None:
        if not isinstance(read, ResponseError):
            return read
        now = time.monotonic()
        if now >= self._log_from:
            self._log_from = now + _LOG_PAUSE_SECONDS
            _log.error("the feature store refuses a transaction (%s); deciding it from the request alone", read)
        return None

    async def _in_time(self, transactions: Sequence[Transaction]) -> list[FeatureRead | ResponseError]:
        # What asyncio.timeout() does, but for the turns: see `_Deadline`.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks here
        deadline = _Deadline(task)
        timer = asyncio.get_running_loop().call_later(self._timeout, deadline.expire)
        try:
            return await self._store.record_and_read_each(transactions)
        except asyncio.CancelledError:
            if not deadline.expired:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            timer.cancel()
            deadline.over = True

    def _leave_alone(self, reason: str, detail: str) -> StoreAway:
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        if not self._away:
            self._away = True
            _log.error("the feature store is away (%s); deciding from the request alone", detail)
        return StoreAway(reason)
