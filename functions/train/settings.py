"""What the train function is told by its environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainSettings(BaseSettings):
    """Environment variables of the train function."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for model events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Experiments and model registry.")
    fraud_state_dir: Path = Field(default=Path(".fraud/functions/train"), description="Writable folder: event journal.")
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_registry_wait_seconds: float = Field(
        default=120.0, ge=0, description="How long to wait for the registry to come up before giving up."
    )
    fraud_bootstrap_transactions: int = Field(
        default=300_000, ge=10_000, description="Transactions of the simulated history the first champion learns from."
    )
    fraud_bootstrap_days: float = Field(default=90.0, ge=40, description="Its length in days of event time.")
    fraud_bootstrap_seed: int = Field(default=7, ge=0, description="Seed of the simulation and of the first models.")
    fraud_least_precision: float = Field(
        default=0.90, gt=0, lt=1, description="Precision that declining must keep, by the bootstrap's lower bound."
    )
    fraud_least_recall: float = Field(
        default=0.50, gt=0, lt=1, description="Share of the fraud that declining must catch, by the same bound."
    )
    fraud_champion_tolerance: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="Average precision that a model may be below the champion on the same rows, by the lower bound of "
        "a paired bootstrap: two equal models differ by chance.",
    )
    fraud_alert_budget: float = Field(
        default=0.01, gt=0, lt=1, description="Share of transactions that may be reviewed or declined."
    )
    fraud_label_horizon_days: float = Field(
        default=14.0, gt=0, description="Days after which a transaction without a label was genuine."
    )
    fraud_training_lookback_days: float = Field(
        default=180.0, gt=0, description="How far back from the cut real decisions are learned from."
    )
    fraud_train_share: float = Field(
        default=0.6, gt=0, lt=1, description="Share of the labelled time, label gap aside, that is learned from."
    )
    fraud_test_share: float = Field(
        default=0.45, gt=0, lt=1, description="Share of the rest that judges; what remains chooses."
    )
    fraud_least_matured_rows: int = Field(
        default=20_000, ge=1_000, description="Labelled real decisions below which nothing is learned from them."
    )
    fraud_least_matured_frauds: int = Field(default=200, ge=50, description="The same for frauds among them.")
    fraud_search_trials: int = Field(
        default=12, ge=0, description="Sets of parameters tried on real decisions or a file; 0 tries none."
    )
    fraud_training_device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where to train; auto is the GPU when the build and a device are there."
    )
    fraud_training_threads: int = Field(default=0, ge=0, description="Threads to train with; 0 is one per processor.")
