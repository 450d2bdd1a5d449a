"""What the shadow scorer is told by its environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ShadowSettings(BaseSettings):
    """Environment variables of the shadow scorer."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for shadow events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Model registry.")
    fraud_state_dir: Path = Field(
        default=Path(".fraud/functions/shadow-scorer"), description="Writable folder: last good model."
    )
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_shadow_alias: str = Field(default="challenger", description="Alias of the model in the shadow.")
    fraud_model_poll_seconds: float = Field(default=5.0, gt=0, description="How often the alias is looked up.")
    fraud_buffer_events: int = Field(default=10_000, gt=0, description="Most events that wait for Kafka.")
