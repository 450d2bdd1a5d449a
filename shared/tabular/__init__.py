"""Files of transactions: CSV, gzipped CSV and Parquet, read, checked and put in event-time order."""

from shared.tabular.ingest import TransactionTable, read_transactions
from shared.tabular.options import ReadingOptions, TabularError

__all__ = ["ReadingOptions", "TabularError", "TransactionTable", "read_transactions"]
