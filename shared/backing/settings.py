"""Where the backing services keep their state and listen, and which of them somebody else runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK: Final = "127.0.0.1"

# The embedded S3 server listens on loopback alone; its credentials keep out mistakes, not attackers.
EMBEDDED_ACCESS_KEY: Final = "fraud"
EMBEDDED_SECRET_KEY: Final = "fraud-local"  # noqa: S105
EMBEDDED_REGION: Final = "us-east-1"

BUCKETS: Final = ("fraud-lake", "mlflow")


def default_cache() -> Path:
    """Return `$XDG_CACHE_HOME/fraud`, else `~/.cache/fraud`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fraud"


class BackingSettings(BaseSettings):
    """Settings of the backing services; each is an environment variable of the name given as its alias.

    Attributes:
        home: State folder; everything a running system writes is under it.
        cache: What outlives a state folder: Kafka's jars and its ahead-of-time cache.
        maven_repository: Address of a Maven repository that mirrors Maven Central; None for Central itself.
        kafka_port: Port of the broker; its controller listens on the next one.
        redis_port: Port of Valkey.
        s3_port: Port of the S3 server.
        mlflow_port: Port of the MLflow server.
        redis_max_memory: Valkey's memory limit in its own notation; beyond it writes are refused, never evicted.
        kafka_bootstrap_servers: Address of a Kafka run by somebody else; then none is started. So the next three.
        redis_url: "redis://host:port/0".
        aws_endpoint_url: Address of an S3 service.
        mlflow_tracking_uri: Address of an MLflow server.
        aws_access_key_id: Credentials for `aws_endpoint_url`; unused with the embedded server.
        aws_secret_access_key: As above.
        aws_region: As above.
    """

    model_config = SettingsConfigDict(populate_by_name=True, env_ignore_empty=True, env_prefix="FRAUD_")

    home: Path = Field(Path(".fraud"), alias="FRAUD_HOME")
    cache: Path = Field(default_factory=default_cache, alias="FRAUD_CACHE")
    maven_repository: str | None = Field(None, alias="FRAUD_MAVEN_REPOSITORY")

    kafka_port: int = Field(9092, alias="FRAUD_KAFKA_PORT", ge=1, le=65534)
    redis_port: int = Field(6379, alias="FRAUD_REDIS_PORT", ge=1, le=65535)
    s3_port: int = Field(9000, alias="FRAUD_S3_PORT", ge=1, le=65535)
    mlflow_port: int = Field(5000, alias="FRAUD_MLFLOW_PORT", ge=1, le=65535)
    redis_max_memory: str = Field("512mb", alias="FRAUD_REDIS_MAX_MEMORY", pattern=r"^\d+(kb|mb|gb)?$")

    kafka_bootstrap_servers: str | None = Field(None, alias="KAFKA_BOOTSTRAP_SERVERS")
    redis_url: str | None = Field(None, alias="REDIS_URL")
    aws_endpoint_url: str | None = Field(None, alias="AWS_ENDPOINT_URL")
    mlflow_tracking_uri: str | None = Field(None, alias="MLFLOW_TRACKING_URI")
    aws_access_key_id: SecretStr | None = Field(None, alias="AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr | None = Field(None, alias="AWS_SECRET_ACCESS_KEY")
    aws_region: str = Field(EMBEDDED_REGION, alias="AWS_REGION")

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        """Make folders absolute: children run in folders of their own."""
        return folder.expanduser().absolute()
