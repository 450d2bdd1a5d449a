"""What the producer is told: by its environment, by options of its own, or by `fraud produce`."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.simulation.config import Pattern, mix_with
from shared.simulation.options import read_delay, read_pattern


class ProducerSettings(BaseSettings):
    """Settings of the producer; each is an environment variable with the prefix `FRAUD_PRODUCER_`."""

    model_config = SettingsConfigDict(
        env_prefix="FRAUD_PRODUCER_",
        extra="ignore",
        cli_kebab_case=True,
        cli_prog_name="producer",
    )

    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092", validation_alias="KAFKA_BOOTSTRAP_SERVERS", description="Broker."
    )
    scorer_url: str = Field(
        default="http://127.0.0.1:8000",
        validation_alias="SCORER_URL",
        description="Base address of the scorer.",
    )
    port: int | None = Field(
        default=None,
        validation_alias="PORT",
        description="Serve /metrics and /health/* here; nothing is served without it.",
    )
    rate: float = Field(default=10.0, gt=0, le=20_000, description="Transactions per second of wall clock.")
    speedup: float = Field(default=1.0, ge=1, le=1e6, description="Seconds of event time per second of wall clock.")
    seed: int = Field(default=7, ge=0, description="People, merchants and events.")
    count: int | None = Field(default=None, gt=0, description="Transactions to send; without it, until stopped.")
    start: datetime | None = Field(
        default=None,
        description="Event time of the first transaction, RFC 3339 with zone. Default: now; with --speedup so far back "
        "that the traffic ends at the present (30 days back without --count).",
    )
    fraud_share: float = Field(default=0.009, ge=0, le=0.5, description="Share of fraudulent transactions.")
    pattern: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="NAME=SHARE[@DAY]: this pattern's share of the fraud, and the day after the start on which it "
        "begins. Repeatable; the other patterns share the rest in their usual proportions. "
        f"Patterns: {', '.join(Pattern)}.",
    )
    label_delay: str = Field(
        default="2d-14d",
        description="Shortest and longest time from a fraud to its label, in event time: 2d-14d, 30s-5m.",
    )
    score: bool = Field(default=True, description="Ask the scorer; false publishes only.")
    budget_ms: int = Field(
        default=2_000, gt=0, description="Longest wait for a decision, retries included; then the switch stands in."
    )
    max_in_flight: int = Field(default=256, gt=0, description="Most open requests to the scorer.")
    buffer_events: int = Field(default=20_000, gt=0, description="Most events that wait for Kafka.")

    @field_validator("pattern", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("start")
    @classmethod
    def _require_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a zone, such as 2026-01-15T12:00:00Z")
        return None if value is None else value.astimezone(UTC)

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        mix_with({pattern: share for pattern, share, _ in map(read_pattern, value)})
        return value

    @field_validator("label_delay")
    @classmethod
    def _check_label_delay(cls, value: str) -> str:
        read_delay(value)
        return value

    @property
    def shares(self) -> dict[Pattern, float]:
        """Shares of the fraud that were asked for, by pattern."""
        return {pattern: share for pattern, share, _ in map(read_pattern, self.pattern)}

    @property
    def onset_days(self) -> dict[Pattern, float]:
        """Days on which patterns begin, where asked for."""
        return {pattern: day for pattern, _, day in map(read_pattern, self.pattern) if day is not None}

    @property
    def label_delay_days(self) -> tuple[float, float]:
        """Shortest and longest delay of a label in days of event time."""
        return read_delay(self.label_delay)


class ProgramSettings(ProducerSettings):
    """The settings of `python -m functions.producer`: options before environment variables."""

    model_config = SettingsConfigDict(cli_implicit_flags=True, cli_avoid_json=True)

    json_output: bool = Field(
        default=False, validation_alias="json", description="Print the summary as one JSON document."
    )

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Self:
        """Read command-line options over the environment.

        Raises:
            pydantic.ValidationError: An option or a variable is wrong.
            SystemExit: `--help`, or an unknown option.
        """
        return cls(_cli_parse_args=arguments)
