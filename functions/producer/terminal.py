"""What a person sees of a run: one line that is kept up to date, and a few lines at the end."""

import sys
from typing import Any, TextIO

from functions.producer.composition import Progress
from functions.producer.producer import Ending
from shared.contracts.event_time import to_rfc3339


class ProgressLine:
    """Keeps one line of a terminal up to date."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out

    def __call__(self, progress: Progress) -> None:
        """Write the line anew."""
        tally = progress.tally
        sent = tally.kinds["transaction"]
        of_total = f" of {progress.total:,}" if progress.total is not None else ""
        decisions = " ".join(f"{name} {count:,}" for name, count in sorted(tally.decisions.items()))
        parts = [
            f"{sent:,}{of_total} transactions",
            f"{tally.rate:.1f}/s",
            decisions or "no decision yet",
            f"stand-in {tally.stand_ins.total():,}",
            f"labels {tally.kinds['label']:,}",
            f"event time {to_rfc3339(tally.event_time_ms)[:16].replace('T', ' ')}",
        ]
        self._out.write("\r\x1b[2K" + " · ".join(parts))
        self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        self._out.write("\n")


def summary(document: dict[str, Any]) -> str:
    """Return the summary of a run as lines of text."""
    sent = sum(fraud["sent"] for fraud in document["frauds"].values())
    alerted = sum(fraud["alerted"] for fraud in document["frauds"].values())
    decisions = ", ".join(f"{count:,} {name}" for name, count in sorted(document["decisions"].items())) or "none"
    stand_ins = ", ".join(f"{count:,} {reason}" for reason, count in sorted(document["stand_ins"].items())) or "none"
    pace = f"{document['seconds']:.1f} s ({document['rate']:.1f}/s)"
    lines = [
        f"{document['transactions']:,} transactions of {document['cards']:,} cards in {pace}",
        f"deliveries: {document['late']:,} late, {document['duplicates']:,} a second time",
        f"decisions: {decisions}; stand-ins: {stand_ins}; asked again {document['retries']:,} times",
        f"frauds: {sent:,}, of them {alerted:,} reviewed or declined; false alarms: {document['false_alarms']:,}",
        f"labels: {document['labels']:,} sent, {document['labels_outstanding']:,} outstanding",
    ]
    if document["ending"] != Ending.COMPLETE:
        lines.append(f"ended early: {document['ending']}")
    if document["events_undelivered"]:
        lines.append(f"{document['events_undelivered']:,} events had not reached Kafka at the end")
    return "\n".join(lines)
