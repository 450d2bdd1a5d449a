"""The report of a backtest: one HTML file with its pictures inside, readable without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from matplotlib.figure import Figure

from functions.train import pictures
from functions.train.backtest.figures import Day, major
from functions.train.backtest.run import Backtest
from functions.train.backtest.summary import figure, lines
from functions.train.evaluate import TOP_CARDS
from functions.train.model_card import TOP_FEATURES
from functions.train.run_log import importances
from shared.contracts.event_time import to_rfc3339

_FIGURES = (
    "average_precision",
    "roc_auc",
    f"card_precision_{TOP_CARDS}",
    "brier",
    *(f"{name}_{alert}" for alert in ("decline", "review") for name in ("precision", "recall", "alert_share")),
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } th { text-align: left }
img { max-width: 29rem; width: 49% } .failed { color: #b00020; font-weight: 600 }
"""


def report(outcome: Backtest) -> str:
    """Return the report."""
    return "\n".join(_parts(outcome))


def _parts(outcome: Backtest) -> Iterator[str]:
    candidate, dataset = outcome.candidate, outcome.dataset
    metrics = candidate.main.evaluation.metrics
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Backtest</title><style>{_STYLE}</style>'
    yield f"<h1>Backtest</h1><p>{escape(dataset.source)}</p>"
    yield "<h2>Figures on the test period</h2>"
    shown = ((name, figure(metrics, name)) for name in _FIGURES if name in metrics)
    yield _table(("figure", "value (95 % interval)"), shown)
    yield "<h2>Gates</h2><ul>"
    for gate in candidate.gates:
        state = "passed" if gate.passed else '<span class="failed">failed</span>'
        yield f"<li>{escape(gate.name)}: {state}. {escape(gate.message)}</li>"
    yield "</ul><h2>Money</h2>"
    amounts = outcome.money
    yield _table(
        ("in the test period", "amount"),
        (
            (what, major(amount, outcome.currency))
            for what, amount in (
                ("all fraud", amounts.fraud),
                ("fraud declined", amounts.declined_fraud),
                ("fraud sent to review", amounts.reviewed_fraud),
                ("fraud missed", amounts.missed_fraud),
                ("genuine transactions declined", amounts.declined_genuine),
            )
        ),
    )
    yield "<h2>Pictures</h2>"
    drawn = pictures.draw(
        candidate.main.fitted.booster, candidate.main.test_scores, dataset.test.is_fraud, candidate.main.policy
    )
    for name, picture in {**drawn, "by day": _days_picture(outcome.days)}.items():
        yield f'<img alt="{escape(name)}" src="data:image/png;base64,{_png(picture)}">'
    yield from _details(outcome)


def _details(outcome: Backtest) -> Iterator[str]:
    candidate, dataset = outcome.candidate, outcome.dataset
    yield "<h2>Days</h2>"
    yield _table(
        ("day", "transactions", "frauds", "declined", "frauds declined or reviewed"),
        ((day.date, day.transactions, day.frauds, day.declined, day.caught) for day in outcome.days),
    )
    gains = importances(candidate.main)
    strongest = sorted(gains, key=lambda name: -gains[name])[:TOP_FEATURES]
    yield "<h2>Top features</h2>"
    yield _table(
        ("feature", "share of the gain", "meaning"),
        ((name, f"{gains[key]:.3f}", dataset.catalogue[name].meaning) for key, name in _features(strongest)),
    )
    if outcome.dropped:
        yield "<h2>Features left out</h2><p>The file lacks the fields that these look at.</p>"
        yield _table(("feature", "missing"), ((name, ", ".join(fields)) for name, fields in outcome.dropped.items()))
    yield "<h2>Worst misses</h2><p>Approved frauds with the largest amounts.</p>"
    yield _table(
        ("transaction", "time", "amount", "score"),
        (
            (
                outcome.transaction_ids[miss.row],
                miss.time,
                major(miss.amount_minor, outcome.currency),
                f"{miss.score:.4f}",
            )
            for miss in outcome.misses
        ),
    )
    yield "<h2>Periods</h2>"
    yield _table(
        ("purpose", "from", "to", "transactions", "frauds"),
        (
            (
                name,
                to_rfc3339(int(rows.event_time_ms[0])),
                to_rfc3339(int(rows.event_time_ms[-1])),
                len(rows),
                rows.frauds,
            )
            for name, rows in dataset.parts()
        ),
    )
    yield f"<p>{escape(lines(outcome)[-1])}. Data set digest {escape(dataset.digest)}.</p></html>"


def _features(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((key, key.removeprefix("importance_")) for key in keys)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f"<td>{escape(str(value))}</td>"


def _days_picture(days: Sequence[Day]) -> Figure:
    drawing = Figure(figsize=(6, 4), layout="constrained")
    axes = drawing.add_subplot()
    axes.set(title="Frauds by day of the test period", ylabel="transactions")
    dates = [day.date[5:] for day in days]
    axes.bar(dates, [day.frauds for day in days], label="frauds", alpha=0.4)
    axes.bar(dates, [day.caught for day in days], label="declined or reviewed", width=0.5)
    axes.tick_params(axis="x", rotation=90)
    axes.legend()
    return drawing


def _png(picture: Figure) -> str:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
