"""Which trigger an AWS Lambda invocation comes from."""

from collections.abc import Mapping
from typing import Any, Final

_OTHER_TRIGGERS: Final = frozenset({"eventSource", "records", "Records", "requestContext", "httpMethod", "routeKey"})
"""What the payloads of Kafka, queues, streams, API Gateway, load balancers and function URLs have."""


class ForeignEvent(ValueError):
    """An invocation that is not this function's trigger."""


def require_schedule(event: Any) -> None:
    """Let a schedule's input pass: an object that is no other trigger's payload.

    Raises:
        ForeignEvent: It must not start a run.
    """
    if not isinstance(event, Mapping) or not _OTHER_TRIGGERS.isdisjoint(event):
        raise ForeignEvent("not an event of a schedule: it has the form of another trigger")
