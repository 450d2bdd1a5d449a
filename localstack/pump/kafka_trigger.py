"""A Kafka trigger as Lambda's pollers play it: batches, partial failures, retries with backoff, a destination."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from localstack.pump.invokers import FunctionError, Invoker
from localstack.pump.kafka_batches import Records, come_again, invocation, of_records
from localstack.pump.template import KafkaMapping

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.1
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 10.0


class KafkaPoller:
    """Polls the topics of one mapping and invokes its function; offsets are committed when a batch is done.

    Args:
        mapping: Topics, sizes, retries.
        invoker: The function.
        bootstrap_servers: Kafka.
        pause: Waits between two attempts; returns early when the pump is to stop.
    """

    def __init__(
        self,
        mapping: KafkaMapping,
        invoker: Invoker,
        bootstrap_servers: str,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._mapping = mapping
        self._invoker = invoker
        self._pause = pause
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": mapping.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "max.poll.interval.ms": 86_400_000,  # a batch may be tried again for long
            }
        )
        self._consumer.subscribe(list(mapping.topics))
        self._dead_letters = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop; what was not done by then comes again to the next poller."""
        while not stop.is_set():
            self.turn(stop)
        self.close()

    def turn(self, stop: threading.Event) -> int:
        """Take one batch and see it through; returns how many records it had."""
        messages = self._gather(stop)
        if messages and self.work_off(invocation(messages), stop):
            ends: dict[tuple[str, int], int] = {}
            for message in messages:
                ends[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0) + 1
            offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
            self._consumer.commit(offsets=offsets, asynchronous=False)
        return len(messages)

    def work_off(self, payload: Mapping[str, Any], stop: threading.Event) -> bool:
        """Invoke until nothing comes again, or all attempts are used up; False when the pump was stopped before."""
        attempt = 0
        pause = _FIRST_PAUSE_SECONDS
        while True:
            again = self._attempt(payload)
            if not again:
                return True
            if attempt >= self._mapping.retries >= 0:
                self._bury(again)
                return True
            if stop.is_set():
                return False
            attempt += 1
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            payload = of_records(again)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _attempt(self, payload: Mapping[str, Any]) -> Records:
        try:
            return come_again(payload, self._invoker.invoke(payload))
        except FunctionError as error:
            _log.warning("a batch of %s failed: %s", ", ".join(self._mapping.topics), error)
            return dict(payload["records"])

    def _gather(self, stop: threading.Event) -> list[Message]:
        messages: list[Message] = []
        deadline = time.monotonic() + max(self._mapping.window_seconds, _POLL_SECONDS)
        while len(messages) < self._mapping.batch_size and not stop.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            found = self._consumer.consume(self._mapping.batch_size - len(messages), min(left, _POLL_SECONDS))
            for message in found:
                if (error := message.error()) is not None:
                    _log.warning("Kafka: %s", error)
                else:
                    messages.append(message)
        return messages

    def _bury(self, records: Records) -> None:
        """Write records to the destination as they are, with the reason as a header."""
        for partition, some in records.items():
            for record in some:
                headers = [(name, _bytes(value)) for entry in record["headers"] for name, value in entry.items()]
                self._dead_letters.produce(
                    self._mapping.on_failure,
                    base64.b64decode(record["value"] or ""),
                    None if record["key"] is None else base64.b64decode(record["key"]),
                    headers=[*headers, ("failure", f"{partition}: all attempts used up".encode())],
                )
        self._dead_letters.flush()


def _bytes(numbers: list[int]) -> bytes:
    return bytes(number & 0xFF for number in numbers)
