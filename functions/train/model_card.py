"""The model card: what a model is, learned from, can do and must not be used for (Mitchell et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from functions.train.candidates import Candidate
from functions.train.dataset import Dataset
from functions.train.rows import Rows
from shared.contracts.event_time import to_rfc3339

TOP_FEATURES = 10


def model_card(candidate: Candidate, dataset: Dataset) -> str:
    """Return the card of a model in Markdown."""
    return "\n".join(_lines(candidate, dataset)) + "\n"


def _lines(candidate: Candidate, dataset: Dataset) -> Iterator[str]:
    main = candidate.main
    yield "# Card-fraud model"
    yield ""
    yield (
        f"Gradient-boosted trees ({main.fitted.booster.num_boosted_rounds()} of depth "
        f"{main.fitted.parameters['max_depth']}) over {len(main.fitted.features)} features of catalogue "
        f"`{dataset.catalogue.version}`, {main.calibration.calibration.describe()['method']} calibration. It scores "
        "one card transaction at its authorisation; the score is the probability of fraud."
    )
    yield ""
    yield (
        f"**Decisions** (policy `{main.policy.version}`): decline from {_threshold(main.policy.decline_at)}, review "
        f"from {_threshold(main.policy.review_at)}."
    )
    yield ""
    yield "## Data"
    yield ""
    yield f"{dataset.source}. Digest `{dataset.digest}`; labels known at {to_rfc3339(dataset.cut_ms)}."
    yield ""
    yield "| purpose | from | to | transactions | frauds |"
    yield "|---|---|---|---:|---:|"
    for name, rows in dataset.parts():
        yield f"| {name} | {_day(rows, 0)} | {_day(rows, -1)} | {len(rows):,} | {rows.frauds:,} |"
    yield ""
    yield "## Figures on the test rows"
    yield ""
    yield "| figure | value | 95 % interval |"
    yield "|---|---:|---|"
    metrics = main.evaluation.metrics
    for name, value in metrics.items():
        if name.endswith(("_lower", "_upper")) or name in ("rows", "frauds"):
            continue
        lower, upper = metrics.get(f"{name}_lower"), metrics.get(f"{name}_upper")
        interval = f"{lower:.4f} to {upper:.4f}" if lower is not None and upper is not None else ""
        yield f"| {name} | {value:.4f} | {interval} |"
    yield ""
    yield "## Gates"
    yield ""
    for gate in candidate.gates:
        yield f"- {gate.name}: {'passed' if gate.passed else '**failed**'}. {gate.message}"
    yield ""
    yield "## Strongest features"
    yield ""
    gains = main.fitted.booster.get_score(importance_type="total_gain")
    for name in sorted(gains, key=lambda feature: -float(np.sum(gains[feature])))[:TOP_FEATURES]:
        yield f"- `{name}`: {dataset.catalogue[name].meaning}"
    yield ""
    yield "## Limits"
    yield ""
    yield (
        "It knows the kinds of fraud in its training period. A transaction without a label counts as genuine once its "
        "label horizon has passed, so fraud that nobody reports is learned as genuine. Scores are probabilities for "
        "traffic like the calibration rows'. While the card's history is unavailable another model answers, with "
        f"average precision {candidate.request_only.evaluation.average_precision:.4f}."
    )


def _threshold(value: float | None) -> str:
    return "never" if value is None else f"{value:.6f}"


def _day(rows: Rows, index: int) -> str:
    return to_rfc3339(int(rows.event_time_ms[index]))[:10]
