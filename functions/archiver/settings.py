"""What the archiver is told by its environment, beside where the lake is."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ArchiverSettings(BaseSettings):
    """Environment variables of the archiver."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker of the topics.")
    fraud_archive_seconds: float = Field(
        default=45.0, gt=0, description="Longest time of one run's draining; what is left waits for the next run."
    )
    fraud_archive_rows: int = Field(default=10_000, gt=0, description="Most records of one commit.")
    fraud_archive_bytes: int = Field(default=16_000_000, gt=0, description="Most bytes of the records of one commit.")
    fraud_archive_compact_files: int = Field(
        default=30, gt=1, description="Small files of one day from which on they are made one."
    )
    fraud_parity_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of the decisions that are recomputed from the events."
    )
    fraud_parity_every_minutes: float = Field(default=15.0, gt=0, description="How often that is done.")
    fraud_parity_decisions: int = Field(
        default=2_000, gt=0, description="Most decisions that are recomputed at a time; of more, a smaller share is."
    )
