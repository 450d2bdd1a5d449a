"""The report for people: Evidently's comparison, with the verdict on top.

Importing this module imports Evidently, which takes ten seconds and more.
"""

from __future__ import annotations

import html
from typing import Any, Final

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset, DataSummaryPreset

from functions.drift.comparison import SEED, Sample
from functions.drift.quantities import DECISION
from functions.drift.verdict import Verdict

MOST_ROWS: Final = 20_000
_BODY: Final = "<body>"


def make_report(verdict: Verdict, reference: Sample) -> tuple[str, str]:
    """Return the report as an HTML page that needs no network, and as JSON.

    Of a window or reference above 20,000 rows Evidently sees an even sample; the verdict rests on all rows.

    Args:
        verdict: The window's verdict.
        reference: What it was compared with.
    """
    shared = [name for name in verdict.window.sample.columns if name in reference.columns]
    current, before = (_frame(sample, shared) for sample in (verdict.window.sample, reference))
    # What has no value on one of both sides cannot be drawn.
    drawn = [name for name in shared if current[name].notna().any() and before[name].notna().any()]
    definition = DataDefinition(
        numerical_columns=[name for name in drawn if name != DECISION],
        categorical_columns=[name for name in drawn if name == DECISION],
    )
    snapshot = Report([DataSummaryPreset(), DataDriftPreset()]).run(
        *(Dataset.from_pandas(frame[drawn], data_definition=definition) for frame in (current, before))
    )
    page: str = snapshot.get_html_str(as_iframe=False)
    return page.replace(_BODY, f"{_BODY}{_summary(verdict.document())}", 1), str(snapshot.json())


def _frame(sample: Sample, names: list[str]) -> pd.DataFrame:
    if len(sample) > MOST_ROWS:
        drawn = np.random.default_rng(SEED).choice(len(sample), MOST_ROWS, replace=False)
        sample = sample.take(np.sort(drawn))
    frame = pd.DataFrame({name: sample.columns[name] for name in names})
    frame[DECISION] = frame[DECISION].where(frame[DECISION] != "")
    return frame


def _summary(document: dict[str, Any]) -> str:
    """Return the verdict as a piece of HTML."""
    rows = "".join(
        f"<tr><td>{html.escape(one['name'])}</td><td>{one['measure']}</td><td>{one['effect']:.4f}</td>"
        f"<td>{one['lower_bound']:.4f}</td><td>{one['threshold']:g}</td><td>{one['rows']:,}</td></tr>"
        for one in document["compared"]
    )
    usual = document["volume"]["usual_rows"]
    volume = f"{document['volume']['rows']:,} decisions" + ("" if usual is None else f" (usually {usual:,.0f})")
    left_out = (
        f"{document['degraded_rows']:,} made without the card's history, "
        f"{document['other_catalogue_rows']:,} under an older feature catalogue, "
        f"{document['unmatched_rows']:,} at a part of the week that the reference lacks"
    )
    unsaid = "".join(
        f"<p>{what}: {html.escape(', '.join(document[key]))}</p>"
        for key, what in (("immature", "The stream is too young for"), ("unknown", "Too few known values of"))
        if document[key]
    )
    return (
        f'<div style="font-family:sans-serif;margin:2em"><h1>{html.escape(document["outcome"])}</h1>'
        f"<p>{document['window_start']} to {document['window_end']}, against the reference of version "
        f"{html.escape(document['model_version'])}. {volume}; left out: {left_out}.</p>"
        "<p>Drift is said where the lower bound of an effect reaches its threshold. What Evidently calls drift below "
        "is its own view of each column and starts nothing.</p>"
        '<table border="1" cellpadding="4" style="border-collapse:collapse"><tr><th>quantity</th><th>measure</th>'
        f"<th>effect</th><th>lower bound</th><th>threshold</th><th>rows</th></tr>{rows}</table>{unsaid}</div>"
    )
