"""What the feature updater is told by its environment."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UpdaterSettings(BaseSettings):
    """Environment variables of the feature updater."""

    model_config = SettingsConfigDict(extra="ignore")

    redis_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"), description="Feature store.")
    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092", description="Broker for dead letters, where the host delivers none (AWS Lambda)."
    )
    fraud_update_timeout_ms: int = Field(
        default=2_000, gt=0, description="Longest wait for the feature store before the event is delivered again."
    )
