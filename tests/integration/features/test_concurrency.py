"""Two scorers and the updater at once on one card: every answer is one that some order of the calls gives."""

import itertools
import random
from dataclasses import replace

from shared.features.online.layout import Limits
from tests.support.features.checking import expected, replay
from tests.support.features.concurrency import UPDATER, Round, run
from tests.support.features.events import in_the_past, of_the_contract
from tests.support.features.linearizability import Operation, linearized
from tests.support.features.oracle import HOUR, Tx
from tests.support.features.streams import random_stream
from tests.verification.worlds import TINY

CLIENTS = ["scorer 1", "scorer 2", UPDATER]
ROUNDS = 120


def of_one_card(number: int) -> Round:
    """A short hostile stream, every transaction of it sent by one, two or all clients, in orders of their own."""
    rng = random.Random(number)
    stream = of_the_contract(random_stream(number, 9, [f"card {number}"]))
    sent = {client: [tx for tx in in_the_past(stream) if rng.random() < 0.7] for client in CLIENTS}
    for of_client in sent.values():
        if rng.random() < 0.5:
            rng.shuffle(of_client)
    return Round(rng.choice([TINY, TINY, Limits()]), sent, width=rng.choice([1, 2, 4]))


def described(operations: list[Operation]) -> str:
    lines = [f"# {one.client} {one.begin_ns}-{one.end_ns}: {one.answer}" for one in operations]
    return "\n".join([*lines, replay([one.tx for one in operations])])


def test_answers_are_linearizable(valkey_port: int, redis: object) -> None:
    rounds = [of_one_card(number) for number in range(ROUNDS)]
    played = run(valkey_port, CLIENTS, rounds)
    for one, operations in zip(rounds, played, strict=True):
        assert len(operations) == sum(len(sent) for sent in one.sent.values())
        assert linearized(operations) is not None, described(operations)
    concurrent = [
        any(a.overlaps(b) for a, b in itertools.combinations(operations, 2) if a.client != b.client)
        for operations in played
    ]
    assert sum(concurrent) > ROUNDS / 2, "the clients were not at it at the same time"


class TestTheCheckItself:
    def call(self, tx: Tx, begin: int, end: int, answer: tuple) -> Operation:
        return Operation("c", tx, begin, end, answer)

    def pair(self) -> tuple[Tx, Tx]:
        first = Tx("a", "c", 1_790_000_000_000, 5)
        return first, replace(first, transaction_id="b", event_time_ms=first.event_time_ms + HOUR)

    def test_takes_the_order_of_arrival(self) -> None:
        a, b = self.pair()
        of_a, of_b = expected([a, b])
        order = linearized([self.call(a, 0, 10, of_a), self.call(b, 5, 15, of_b)])
        assert [one.tx for one in order] == [a, b]

    def test_takes_the_other_order_when_the_calls_overlapped(self) -> None:
        a, b = self.pair()
        of_b, of_a = expected([b, a])
        assert linearized([self.call(a, 0, 10, of_a), self.call(b, 5, 15, of_b)]) is not None

    def test_refuses_an_answer_that_misses_what_was_acknowledged_before(self) -> None:
        a, b = self.pair()
        (of_a,), (of_b,) = expected([a]), expected([b])
        assert linearized([self.call(a, 0, 10, of_a), self.call(b, 11, 20, of_b)]) is None

    def test_refuses_two_answers_that_each_miss_the_other(self) -> None:
        tie = [Tx(name, "c", 1_790_000_000_000, 5) for name in "ab"]
        answers = [expected([tx])[0] for tx in tie]
        assert linearized([self.call(tx, 0, 10, answer) for tx, answer in zip(tie, answers, strict=True)]) is None

    def test_refuses_two_first_recordings_of_one_id(self) -> None:
        a, _ = self.pair()
        (new,) = expected([a])
        assert linearized([self.call(a, 0, 10, new), self.call(a, 0, 10, new)]) is None
