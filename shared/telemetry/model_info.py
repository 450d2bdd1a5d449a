"""Which model a function scores with, as a metric."""

from typing import Final

from prometheus_client import Gauge

MODEL_INFO: Final = Gauge("fraud_model_info", "The model that this function scores with; 1.", ["version", "alias"])


def show_model(version: str | None, alias: str) -> None:
    """Show the version that an alias stands for from now on; None for no model."""
    MODEL_INFO.clear()
    if version is not None:
        MODEL_INFO.labels(version, alias).set(1)
