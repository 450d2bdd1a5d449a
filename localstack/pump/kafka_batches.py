"""Batches of a Kafka trigger: the payload of an invocation, and what of it comes again.

Source: https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html and its page on partial batch responses.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from confluent_kafka import Message

Records = dict[str, list[dict[str, Any]]]
"""Records by ``TOPIC-PARTITION``, each list in the order of its offsets."""


def invocation(messages: Sequence[Message]) -> dict[str, Any]:
    """The payload of one invocation."""
    records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        topic, partition = message.topic(), message.partition()
        headers = cast("list[tuple[str, bytes]]", message.headers() or [])
        records[f"{topic}-{partition}"].append(
            {
                "topic": topic,
                "partition": partition,
                "offset": message.offset(),
                "timestamp": message.timestamp()[1],
                "timestampType": "CREATE_TIME",
                "key": _encoded(message.key()),
                "value": _encoded(message.value()),
                "headers": [{name: list(value)} for name, value in headers],
            }
        )
    return of_records(records)


def of_records(records: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The payload that holds these records."""
    return {"eventSource": "aws:SelfManagedKafka", "bootstrapServers": "", "records": dict(records)}


def come_again(payload: Mapping[str, Any], result: Any) -> Records:
    """What Lambda delivers again after a result with partial failures.

    Of each partition that is named, the records from the named offset on. A result that names what was not in the
    batch fails all of it, as does a result that cannot be read; nothing at all, or an empty list, is success.
    """
    records: Records = payload["records"]
    try:
        failures = [] if result is None else (result.get("batchItemFailures") or [])
        named = [(f["itemIdentifier"]["partition"], int(f["itemIdentifier"]["offset"])) for f in failures]
    except (AttributeError, KeyError, TypeError, ValueError):
        return dict(records)
    again: Records = {}
    for partition, offset in sorted(named, reverse=True):
        rest = [record for record in records.get(partition, []) if record["offset"] >= offset]
        if not rest or rest[0]["offset"] != offset:
            return dict(records)
        again[partition] = rest
    return again


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
