"""What the scorer is told by its environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ScorerSettings(BaseSettings):
    """Environment variables of the scorer."""

    model_config = SettingsConfigDict(extra="ignore")

    redis_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"), description="Feature store.")
    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for decision events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Model registry.")
    fraud_state_dir: Path = Field(
        default=Path(".fraud/functions/scorer"), description="Writable folder: event journal, last good model."
    )
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_model_alias: str = Field(default="champion", description="Alias that the scorer follows.")
    fraud_model_poll_seconds: float = Field(default=5.0, gt=0, description="How often the alias is looked up.")
    fraud_store_timeout_ms: int = Field(
        default=50, gt=0, description="Longest wait for the feature store before a degraded answer."
    )
    fraud_queue_deadline_ms: int = Field(
        default=500, gt=0, description="Longest wait in the scorer's queue before 503 with Retry-After."
    )
    fraud_queue_length: int = Field(default=2_000, gt=0, description="Most requests that wait in the queue.")
    fraud_control_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the would-be declines that is let through as a control group; 0 lets nobody through.",
    )
    fraud_buffer_events: int = Field(
        default=100_000, gt=0, description="Most events that wait for Kafka; further ones are dropped and counted."
    )
