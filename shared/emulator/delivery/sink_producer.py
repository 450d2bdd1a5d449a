"""Writes dead letters, and does not give up before the broker has them."""

import asyncio
import contextlib
import logging
import threading
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from shared.emulator.delivery.client_log import CLIENT_LOG
from shared.emulator.delivery.record import Headers

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD)
_log = logging.getLogger(__name__)


class TooLargeForTopic(Exception):
    """The broker will never take this record, however often it is sent."""


class SinkProducer:
    """An idempotent producer (acks=all) whose writes are awaited.

    Args:
        bootstrap_servers: The cluster of the sink.
        client_id: Name towards the broker.
    """

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self._config = {
            "bootstrap.servers": bootstrap_servers,
            "client.id": client_id,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            # The topic's own limit decides, not the client's default of 1,000,000 bytes before compression.
            "message.max.bytes": 16 * 1024 * 1024,
            "message.timeout.ms": 30_000,
            "queue.buffering.max.kbytes": 64 * 1024,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": lambda error: _log.debug("dead-letter producer: %s", error),
        }
        self._producer = self._make()
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="dead-letters", daemon=True)
        self._poller.start()

    def _make(self) -> Any:
        return Producer(self._config, logger=CLIENT_LOG)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    async def write(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Return once all in-sync replicas have the record; until then it is tried again.

        Raises:
            TooLargeForTopic: It exceeds what the topic takes.
        """
        wait = _FIRST_WAIT
        while True:
            error = await self._try(topic, key, value, headers)
            if error is None:
                return
            if error.code() in _TOO_LARGE:
                raise TooLargeForTopic(error.str())
            _log.warning("dead-letter sink %s does not take a record, kept for another try: %s", topic, error.str())
            if error.fatal():
                # An idempotent producer whose sequence broke stays unusable.
                self._producer = self._make()
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _try(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Any:
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[Any] = loop.create_future()

        def resolve(error: Any) -> None:
            if not delivered.done():
                delivered.set_result(error)

        def report(error: Any, _message: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone when the process ends
                loop.call_soon_threadsafe(resolve, error)

        try:
            self._producer.produce(topic, value=value, key=key, headers=headers, on_delivery=report)
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - a public name of librdkafka's error table
        except KafkaException as refusal:
            return refusal.args[0]
        return await delivered

    def close(self, timeout: float) -> None:
        """Flush what is on its way, for at most that many seconds."""
        self._producer.flush(timeout)
        self._stopping.set()
        self._poller.join(1)
