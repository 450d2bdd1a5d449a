"""What the promote function is told by its environment, beside where the lake is."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PromoteSettings(BaseSettings):
    """Environment variables of the promote function."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for model events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Where the models are.")
    fraud_state_dir: Path = Field(default=Path(".fraud/functions/promote"), description="Writable folder: journal.")
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_label_horizon_days: float = Field(
        default=14.0, gt=0, description="Days after which a transaction without a label was genuine."
    )
    fraud_false_alarm_cost: int = Field(
        default=500, ge=0, description="What an alert on a genuine transaction costs, in minor units."
    )
    fraud_promote_days: int = Field(default=60, ge=1, description="How many days of shadows are weighed.")
    fraud_promote_least_frauds: int = Field(
        default=50, ge=10, description="Matured frauds that both models scored, below which nothing is decided."
    )
    fraud_promote_precision_tolerance: float = Field(
        default=0.01, ge=0, lt=1, description="Average precision that a challenger may lack and be no worse."
    )
    fraud_promote_money_tolerance: float = Field(
        default=0.02, ge=0, lt=1, description="Share of the champion's saved money that it may lack and be no worse."
    )
