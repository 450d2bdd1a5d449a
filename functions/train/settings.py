"""What the train function is told by its environment."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.simulation.config import Pattern, mix_with
from shared.simulation.options import read_delay, read_pattern


class TrainSettings(BaseSettings):
    """Environment variables of the train function."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Broker for model events.")
    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="Experiments and model registry.")
    fraud_state_dir: Path = Field(default=Path(".fraud/functions/train"), description="Writable folder: event journal.")
    fraud_model_name: str = Field(default="fraud", description="Registered model.")
    fraud_registry_wait_seconds: float = Field(
        default=120.0,
        ge=0,
        description="How long to wait for the registry, and before it for the lake, to come up before giving up.",
    )
    fraud_training_lease_seconds: float = Field(
        default=60.0, ge=4, description="A training that was killed keeps the next one away for so long."
    )
    fraud_bootstrap_transactions: int = Field(
        default=300_000, ge=10_000, description="Transactions of the simulated history the first champion learns from."
    )
    fraud_bootstrap_days: float = Field(default=90.0, ge=40, description="Its length in days of event time.")
    fraud_bootstrap_seed: int = Field(default=7, ge=0, description="Seed of the simulation and of the first models.")
    fraud_bootstrap_fraud_share: float = Field(
        default=0.009, gt=0, le=0.5, description="Share of fraudulent transactions in it."
    )
    fraud_bootstrap_shares: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="NAME=SHARE, by commas: a pattern's share of its fraud, 0 for one that has not been seen yet; the "
        "other patterns share the rest in their usual proportions.",
    )
    fraud_bootstrap_label_delay: str = Field(
        default="2d-14d", description="Shortest and longest time from one of its frauds to the label."
    )
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
    fraud_challenger_days: float = Field(
        default=21.0,
        ge=0,
        description="Days, from the cut of its data to that of the next training's, that a challenger is left to its "
        "shadow evidence: a new one every day would never see its labels mature. Long enough for the label horizon.",
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
    fraud_training_parity_decisions: int = Field(
        default=5_000,
        gt=0,
        description="Real decisions that are recomputed from the events, drawn evenly by their keys.",
    )
    fraud_search_trials: int = Field(
        default=12, ge=0, description="Sets of parameters tried on real decisions or a file; 0 tries none."
    )
    fraud_training_device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where to train; auto is the GPU when the build and a device are there."
    )
    fraud_training_threads: int = Field(default=0, ge=0, description="Threads to train with; 0 is one per processor.")

    @field_validator("fraud_bootstrap_shares", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("fraud_bootstrap_shares")
    @classmethod
    def _check_shares(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        mix_with(_shares(value))
        return value

    @field_validator("fraud_bootstrap_label_delay")
    @classmethod
    def _check_label_delay(cls, value: str) -> str:
        read_delay(value)
        return value

    @property
    def bootstrap_traffic(self) -> dict[str, Any]:
        """What is set about the simulated history, as fields of `shared.simulation.config.SimulationConfig`."""
        return {
            "fraud_share": self.fraud_bootstrap_fraud_share,
            "mix": mix_with(_shares(self.fraud_bootstrap_shares)),
            "label_delay_days": read_delay(self.fraud_bootstrap_label_delay),
        }


def _shares(texts: tuple[str, ...]) -> dict[Pattern, float]:
    read = [read_pattern(text) for text in texts]
    if any(day is not None for _, _, day in read):
        raise ValueError("a pattern of the simulated history has no day on which it begins")
    return {pattern: share for pattern, share, _ in read}
