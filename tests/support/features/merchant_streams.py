"""Hostile streams of transactions and labels for few merchants: many cards, months of event time, days and their edges.

Late transactions fall into windows that others have read; labels come first, late, twice, are taken back, and name the
wrong merchant or day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from tests.support.features.oracle import DAY, HOUR, MINUTE, SECOND, Label, Tx
from tests.support.features.streams import ANCHORS, Chooser, HypothesisChooser, RandomChooser

Item = Tx | Label

MERCHANTS = ["m", "{m}", "東京"]
EDGES_DAYS = [1, 7, 8, 9, 14, 15, 30, 31, 37, 38, 39, 68, 69, 70]
"""Days between transactions at which one enters or leaves a window or the memory of the other's merchant."""
OFFSETS = [0, -1, 1, HOUR, -6 * HOUR]


@st.composite
def hostile_merchant_streams(draw: st.DrawFn, *, most: int = 40, cards: Sequence[str] = ("c", "d", "e")) -> list[Item]:
    """Streams in arrival order, for hypothesis."""
    return merchant_stream(HypothesisChooser(draw), draw(st.integers(1, most)), cards)


def random_merchant_stream(seed: int, length: int, cards: Sequence[str]) -> list[Item]:
    """A stream of that length, the same for the same seed."""
    return merchant_stream(RandomChooser(seed), length, cards)


def merchant_stream(choose: Chooser, length: int, cards: Sequence[str]) -> list[Item]:
    """A hostile stream in arrival order."""
    clock = int(choose.pick(ANCHORS).timestamp() * 1000)
    pace = choose.pick([DAY, MINUTE, HOUR, 6 * HOUR])
    sent: list[Tx] = []
    held: list[Tx] = []
    labels: list[Label] = []
    stream: list[Item] = []
    for number in range(length):
        match choose.whole(0, 9):
            case 0 if sent:
                stream.append(_again(choose, sent))
            case 1 | 2 if sent:
                labels.append(_label(choose, choose.pick(sent), clock))
                stream.append(labels[-1])
            case 3:
                held.append(_fresh(choose, number, sent, clock, cards))
                labels.append(_label(choose, held[-1], clock))
                stream.append(labels[-1])
            case 4 if held:
                sent.append(held.pop())
                stream.append(sent[-1])
            case 5 if labels:
                labels.append(_relabelled(choose, choose.pick(labels)))
                stream.append(labels[-1])
            case _:
                sent.append(_fresh(choose, number, sent, clock, cards))
                stream.append(sent[-1])
        clock += choose.whole(0, 2 * pace)
    return stream


def _fresh(choose: Chooser, number: int, sent: Sequence[Tx], clock: int, cards: Sequence[str]) -> Tx:
    # More cards than transactions of one keep most of them in their card's memory, however old they are.
    card = choose.pick(cards) if choose.whole(0, 2) == 0 else f"card {number}"
    return Tx(f"t{number}", card, _event_time(choose, sent, clock), choose.whole(1, 9), choose.pick(MERCHANTS))


def _event_time(choose: Chooser, sent: Sequence[Tx], clock: int) -> int:
    """Mostly the clock; else late, at a day's edge, or days from an earlier one that the windows' edges tell apart."""
    match choose.whole(0, 7):
        case 0 if sent:
            return choose.pick(sent).event_time_ms + choose.pick(EDGES_DAYS) * DAY
        case 1 if sent:
            midnight = (choose.pick(sent).event_time_ms // DAY + choose.pick(EDGES_DAYS)) * DAY
            return midnight + choose.pick(OFFSETS)
        case 2:
            return clock - choose.whole(0, 75) * DAY
        case 3:
            return clock // DAY * DAY - choose.pick([0, *EDGES_DAYS]) * DAY + choose.pick(OFFSETS)
        case 4 if sent:
            return choose.pick(sent).event_time_ms
        case _:
            return clock


def _again(choose: Chooser, sent: Sequence[Tx]) -> Tx:
    """An id that was sent before: the same content, or another merchant, time or amount."""
    old = choose.pick(sent)
    match choose.whole(0, 4):
        case 0:
            return replace(old, merchant_id=choose.pick(MERCHANTS))
        case 1:
            return replace(old, event_time_ms=old.event_time_ms + choose.pick(EDGES_DAYS) * DAY)
        case 2:
            return replace(old, amount_minor=old.amount_minor + 1)
        case _:
            return old


def _label(choose: Chooser, tx: Tx, clock: int) -> Label:
    """A label of a transaction, a few of them with a wrong merchant, card or day."""
    label = Label(
        transaction_id=tx.transaction_id,
        card_id=tx.card_id,
        merchant_id=tx.merchant_id,
        event_time_ms=tx.event_time_ms,
        is_fraud=choose.whole(0, 3) > 0,
        label_time_ms=_label_time(choose, tx, clock),
    )
    match choose.whole(0, 11):
        case 0:
            return replace(label, merchant_id=choose.pick(MERCHANTS))
        case 1:
            return replace(label, event_time_ms=tx.event_time_ms + choose.pick([DAY, -DAY, 1, -1, 3 * HOUR]))
        case 2:
            return replace(label, card_id="nobody's")
        case _:
            return label


def _label_time(choose: Chooser, tx: Tx, clock: int) -> int:
    match choose.whole(0, 4):
        case 0:
            return clock
        case 1:
            return (tx.event_time_ms // DAY + choose.pick(EDGES_DAYS)) * DAY + choose.pick(OFFSETS)
        case 2:
            return clock + choose.pick([-SECOND, -DAY, 20 * DAY])
        case _:
            return tx.event_time_ms + choose.whole(0, 50 * DAY)


def _relabelled(choose: Chooser, label: Label) -> Label:
    """The same label again, or another of the same transaction: earlier, at the same moment or later."""
    match choose.whole(0, 4):
        case 0:
            return label
        case 1:
            return replace(label, is_fraud=not label.is_fraud)
        case _:
            later = choose.pick([-20 * DAY, -1, 1, SECOND, DAY, 20 * DAY])
            moved = max(0, label.label_time_ms + later)
            return replace(label, is_fraud=choose.whole(0, 1) == 1, label_time_ms=moved)
