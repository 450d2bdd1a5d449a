"""Sends a stream through a host, and compares what hosts answered."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import urllib3

from tests.e2e.hosts.host import Host, Reply
from tests.e2e.hosts.stream import Recorded

_TIMINGS = re.compile(rb',"timings":\{[^{}]*\}')
_MOST_TRIES = 20
_PAUSE_SECONDS = 0.3
_PROGRESS = 1_000


class Difference(NamedTuple):
    """A request that a host answered differently from the first host."""

    request: Recorded
    host: str
    expected: Reply
    actual: Reply


class Answers(NamedTuple):
    """What one host answered, in the stream's order, and how often it had to be asked again."""

    replies: list[Reply]
    again: int


def answers(host: Host, stream: Sequence[Recorded], progress: Callable[[int], None] = lambda _: None) -> Answers:
    """Send the stream, one request after the other.

    An answer without the feature store (`degraded`) or for want of room (503) is what a host under load may give, and a
    connection to a deployed one may break; the request is asked again as any caller would, which changes no feature.
    """
    replies: list[Reply] = []
    again = 0
    for number, request in enumerate(stream, start=1):
        for _ in range(_MOST_TRIES):
            try:
                reply = host.ask("POST", request.target, request.body, request.content_type)
            except urllib3.exceptions.ProtocolError as error:
                reply = Reply(0, "", str(error).encode())
            if reply.status not in (0, 503) and b'"degraded":true' not in reply.body:
                break
            again += 1
            time.sleep(_PAUSE_SECONDS)
        replies.append(reply)
        if number % _PROGRESS == 0:
            progress(number)
    return Answers(replies, again)


def comparable(reply: Reply) -> Reply:
    """Leave out what tells of the moment and the host: the measured stages."""
    return reply._replace(body=_TIMINGS.sub(b"", reply.body))


def differences(stream: Sequence[Recorded], by_host: Mapping[str, Sequence[Reply]]) -> list[Difference]:
    """Compare every host with the first, byte by byte: status, media type, body."""
    (_, first), *others = by_host.items()
    found = []
    for name, replies in others:
        for request, expected, actual in zip(stream, first, replies, strict=True):
            if comparable(expected) != comparable(actual):
                found.append(Difference(request, name, expected, actual))
    return found


def summary(replies: Sequence[Reply]) -> str:
    """Say what the answers were, so that an empty comparison is seen for what it is."""
    statuses = Counter(reply.status for reply in replies)
    decisions: Counter[str] = Counter()
    for reply in replies:
        decisions.update(found.decode() for found in re.findall(rb'"decision":"(\w+)"', reply.body))
    told = [f"{number} x {status}" for status, number in sorted(statuses.items())]
    told += [f"{number} {decision}" for decision, number in decisions.most_common()]
    return ", ".join(told)
