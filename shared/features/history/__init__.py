"""The history engine: what the online engine would have answered at each transaction of a file, by DuckDB."""

from shared.features.history.engine import HistoryFeatures

__all__ = ["HistoryFeatures"]
