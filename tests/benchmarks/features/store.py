"""A Valkey of the benchmark's own, and calls of the engine's script with the time the server took for each."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.connection import Connection

from shared.contracts.transaction import Transaction
from shared.features.catalogue import CATALOGUE
from shared.features.online.layout import Limits
from shared.features.online.wire import Call, CardReply, Protocol, pack
from shared.features.plan import Aggregate
from tests.support.backing import SessionBacking

_BATCH = 64
_SLOW_US = 1_000
_SLOW_KEPT = 10_000
_SPENT = re.compile(rb"cmdstat_evalsha:calls=\d+,usec=(\d+)")


class Store:
    """One connection to the server, as the engine uses it: EVALSHA, alone or many at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.admin: Redis = Redis.from_url(url)
        self._protocol = Protocol(CATALOGUE, Limits())
        source = self._protocol.script.source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self.admin.script_load(source)
        self.admin.config_set("slowlog-log-slower-than", _SLOW_US)
        self.admin.config_set("slowlog-max-len", _SLOW_KEPT)
        self._connection = cast("Connection", self.admin.connection_pool.get_connection())
        self._spent = self._spent_us(self._info())

    def load(self, calls: Iterable[Call], batch: int = _BATCH) -> None:
        """Make calls in pipelines, for their effect."""
        left = iter(calls)
        while some := list(islice(left, batch)):
            self._send(some)
            for _ in some:
                self._reply()

    def record(self, transactions: Iterable[Transaction]) -> None:
        """Record transactions, for their effect."""
        self.load(map(pack, transactions))

    def server_us(self, calls: Sequence[Call]) -> list[int]:
        """Time the server spends on each call, in whole microseconds: what `commandstats` grows by."""
        self._spent, took = self._spent_us(self._info()), []
        for call in calls:
            self._send([call], b"".join(self._connection.pack_command("INFO", "commandstats")))
            self._reply()
            now = self._spent_us(self._reply())
            took.append(now - self._spent)
            self._spent = now
        return took

    def round_trips_us(self, calls: Sequence[Call]) -> list[float]:
        """Time from sending each call to its reply."""
        took = []
        for call in calls:
            packed = self._packed(call)
            started = time.perf_counter_ns()
            self._connection.send_packed_command([packed], check_health=False)
            self._reply()
            took.append((time.perf_counter_ns() - started) / 1e3)
        return took

    def read(self, call: Call, aggregate: Aggregate) -> tuple[int, CardReply]:
        """Make one call and take one aggregate of the card out of the reply, and the reply."""
        self._send([call])
        card = self._protocol.open(self._reply(), call.subject)
        return int(card.raw[self._protocol.script.position[aggregate]]), card

    def processor_seconds(self) -> float:
        """Processor time that the server has used, all of its threads."""
        used = self.admin.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def slow_calls(self) -> list[dict[str, Any]]:
        """Entries of the slow log for calls of more than a millisecond."""
        return [entry for entry in self.admin.slowlog_get(_SLOW_KEPT) if entry["command"].startswith(b"EVALSHA")]

    def calls(self) -> int:
        """How many calls of scripts the server has answered."""
        return int(self.admin.info("commandstats")["cmdstat_evalsha"]["calls"])

    def bytes_of(self, call: Call) -> int:
        """Memory of all keys of a call's card, by MEMORY USAGE."""
        pattern = call.command[0].decode() + ":*"
        keys = list(self.admin.scan_iter(pattern, count=10_000))
        return sum(self.admin.memory_usage(key, samples=0) or 0 for key in keys)

    def _send(self, calls: Sequence[Call], last: bytes = b"") -> None:
        self._connection.send_packed_command([*map(self._packed, calls), last], check_health=False)

    def _packed(self, call: Call) -> bytes:
        return b"".join(self._connection.pack_command("EVALSHA", self._digest, 1, *call.command))

    def _info(self) -> bytes:
        self._connection.send_command("INFO", "commandstats", check_health=False)
        return cast("bytes", self._reply())

    def _reply(self) -> Any:
        return self._connection.read_response(disable_decoding=True)

    @staticmethod
    def _spent_us(info: bytes) -> int:
        found = _SPENT.search(info)
        return int(found[1]) if found else 0


@contextmanager
def store(home: Path) -> Iterator[Store]:
    """A server started the way the system starts it; gone at the end."""
    backing = SessionBacking(home)
    try:
        yield Store(backing.environment("redis")["REDIS_URL"])
    finally:
        backing.stop()
