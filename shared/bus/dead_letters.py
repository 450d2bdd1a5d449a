"""The dead-letter topic, for hosts whose delivery has none of its own."""

import asyncio

from confluent_kafka import KafkaError, KafkaException, Producer

from shared.bus import topics
from shared.bus.publisher import producer_settings

_FLUSH_SECONDS = 10.0


class DeadLetterTopic:
    """Puts records that can never be handled on ``fraud.dead-letters``, as they came, with the reason.

    The reason stands in the header ``ce_knativeerrordata``, where Knative's delivery puts it too.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        settings = producer_settings(bootstrap_servers, 10_000)
        settings["message.timeout.ms"] = int(_FLUSH_SECONDS * 1e3)
        self._producer = Producer(settings)

    async def put(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], reason: str, origin: str
    ) -> None:
        """Put one record aside.

        Args:
            key: Key of the record.
            value: Value of the record.
            headers: Headers of the record.
            reason: Why it can never be handled.
            origin: Topic, partition and offset it came from.

        Raises:
            KafkaException: Kafka did not take it in time; the record must come again.
            BufferError: Too many records wait.
        """
        errors: list[KafkaError] = []
        self._producer.produce(
            topics.DEAD_LETTERS,
            value,
            key,
            headers=[
                *headers,
                ("ce_knativeerrorcode", b"400"),
                ("ce_knativeerrordata", reason.encode()),
                ("ce_knativeerrordest", origin.encode()),
            ],
            on_delivery=lambda error, _message: errors.append(error) if error is not None else None,
        )
        # Waiting is the thread's business: other partitions go on meanwhile.
        if await asyncio.to_thread(self._producer.flush, _FLUSH_SECONDS) and not errors:
            errors.append(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its public name
        if errors:
            raise KafkaException(errors[0])
