"""What the drift function is told by its environment, beside where the lake is."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DriftSettings(BaseSettings):
    """Environment variables of the drift function."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for drift events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Where the champion is.")
    fraud_state_dir: Path = Field(default=Path(".fraud/functions/drift"), description="Writable folder: event journal.")
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_drift_hours: float = Field(default=24.0, gt=0, description="Hours of event time that are judged.")
    fraud_drift_least_rows: int = Field(
        default=500, ge=500, description="Decisions below which there is no verdict; effects are corrected from 500 on."
    )
    fraud_drift_recall_days: float = Field(
        default=7.0, gt=0, description="The frauds whose labels arrived in so many days are judged by the recall."
    )
    fraud_drift_recall_days_before: float = Field(
        default=28.0, gt=0, description="Those whose labels arrived in so many days before are what it is judged by."
    )
    fraud_drift_recall_least_frauds: int = Field(
        default=50, ge=30, description="Frauds in each of the two below which the recall is not judged."
    )
    fraud_drift_debounce_hours: float = Field(
        default=24.0, ge=0, description="A finding that was announced is not announced again for so long (event time)."
    )
