"""The lake: every event of the system as Delta tables on S3, readable by DuckDB, pandas, Spark and `Lake`."""
