"""A labelled history as columns, for training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.simulation.columns import Columns, Writer
from shared.simulation.config import SimulationConfig
from shared.simulation.delivery import DeliveryPlan
from shared.simulation.rows import Rows
from shared.simulation.traffic import Traffic


def generate_history(
    transactions: int = 300_000,
    days: float = 90.0,
    *,
    start_ms: int,
    seed: int = 7,
    settings: Mapping[str, Any] | None = None,
) -> Columns:
    """Return `transactions` transactions, in event-time order, that begin at `start_ms` and fit into `days` days.

    They are the first ones of the endless traffic of the same configuration, so that history and live stream come from
    one world.

    Args:
        transactions: Number of distinct transactions.
        days: Length of the history in days of event time.
        start_ms: Event time of its beginning, UTC milliseconds.
        seed: People, merchants and events.
        settings: Other fields of `SimulationConfig`, by name.

    Returns:
        The columns of `columns.Writer`, and `arrival_ms` (first delivery), `duplicate_ms` (second delivery, -1 when
        there is none), `label_time_ms` (-1 for genuine ones, which are never labelled). Texts are object arrays of
        `str`.

    Raises:
        ValueError: A setting is out of its range.
    """
    if transactions < 1 or days <= 0:
        raise ValueError("transactions and days must be positive")
    # Five standard deviations of margin: the number of transactions per day is random, their total here is not.
    per_day = (transactions * 1.003 + 5 * transactions**0.5) / days
    traffic = Traffic(SimulationConfig(start_ms, per_day, seed=seed, **(settings or {})))
    rows, plan = _first(traffic, transactions)
    return {
        **Writer(traffic).columns(np.arange(len(rows)), rows),
        "arrival_ms": plan.arrival_ms,
        "duplicate_ms": plan.duplicate_ms,
        "label_time_ms": plan.label_ms,
    }


def _first(traffic: Traffic, transactions: int) -> tuple[Rows, DeliveryPlan]:
    rows: list[Rows] = []
    plans: list[DeliveryPlan] = []
    for block in traffic.blocks():
        wanted = slice(0, transactions - block.first)
        rows.append(block.rows.take(wanted))
        plans.append(block.plan.take(wanted))
        if block.first + len(block.rows) >= transactions:
            break
    return Rows.concat(rows), DeliveryPlan.concat(plans)
