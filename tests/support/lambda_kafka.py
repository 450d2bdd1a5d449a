"""What AWS does between Kafka and a Lambda function: poll a topic, hand over batches, go back for what failed."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message


def invocation(messages: Sequence[Message]) -> dict[str, Any]:
    """The payload of one invocation of the Kafka trigger.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html
    """
    records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        topic, partition = message.topic(), message.partition()
        records[f"{topic}-{partition}"].append(
            {
                "topic": topic,
                "partition": partition,
                "offset": message.offset(),
                "timestamp": message.timestamp()[1],
                "timestampType": "CREATE_TIME",
                "key": _encoded(message.key()),
                "value": _encoded(message.value()),
                "headers": [{name: list(value)} for name, value in message.headers() or []],
            }
        )
    return {"eventSource": "aws:SelfManagedKafka", "bootstrapServers": "", "records": dict(records)}


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
