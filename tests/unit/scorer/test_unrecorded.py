"""What merchants were not told reaches the updater as transaction events."""

from collections.abc import Sequence

from redis.exceptions import ConnectionError as RedisConnectionError

from functions.scorer.unrecorded import UnrecordedTransactions
from shared.bus import topics
from shared.contracts import cloudevents
from shared.contracts.cloudevents import Event
from shared.contracts.transaction import Transaction
from tests.support.metrics import Change
from tests.support.transactions import transaction


class Sink:
    def __init__(self) -> None:
        self.published: list[tuple[str, Event]] = []

    def publish(self, items: Sequence[tuple[str, Event]]) -> None:
        self.published += items


def test_they_are_published_with_their_card_as_key_and_counted() -> None:
    sink, change = Sink(), Change()
    some = [transaction(transaction_id="tx-1"), transaction(transaction_id="tx-2", card_id="card-2")]
    UnrecordedTransactions(sink)(some, RedisConnectionError("gone"))
    assert [topic for topic, _ in sink.published] == [topics.TRANSACTIONS] * 2
    events = [event for _, event in sink.published]
    assert [(event.id, event.type, event.partition_key) for event in events] == [
        ("tx-1", cloudevents.TRANSACTION, "card-1"),
        ("tx-2", cloudevents.TRANSACTION, "card-2"),
    ]
    assert [Transaction.from_event(event.data) for event in events] == some
    assert change.of("fraud_feature_merchant_unrecorded_total") == 2
