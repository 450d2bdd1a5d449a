"""How every Kafka client here reaches its brokers: plainly, or by TLS and SASL as managed clusters ask."""

from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSecurity(BaseSettings):
    """Environment variables `KAFKA_...` that all functions share; without them a connection is plain."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", extra="ignore", env_ignore_empty=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How a broker is spoken to."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How a client proves who it is, with SASL."
    )
    sasl_username: str | None = Field(default=None, description="Its name.")
    sasl_password: SecretStr | None = Field(default=None, description="Its password.")
    ssl_ca_location: str | None = Field(
        default=None, description="File of certificate authorities; without it, the system's."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.security_protocol.startswith("SASL") and (self.sasl_username is None or self.sasl_password is None):
            raise ValueError("SASL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self

    def client_settings(self) -> dict[str, Any]:
        """Return librdkafka's names for it; nothing for a plain connection."""
        if self.security_protocol == "PLAINTEXT":
            return {}
        settings: dict[str, Any] = {"security.protocol": self.security_protocol}
        if self.security_protocol.endswith("SSL"):
            # The client library brings its own TLS, which knows no system's authorities until it is told to look.
            settings["ssl.ca.location"] = self.ssl_ca_location or "probe"
        if self.sasl_username is not None and self.sasl_password is not None:
            settings["sasl.mechanism"] = self.sasl_mechanism
            settings["sasl.username"] = self.sasl_username
            settings["sasl.password"] = self.sasl_password.get_secret_value()
        return settings


def connection(bootstrap_servers: str) -> dict[str, Any]:
    """Return the librdkafka settings by which a client reaches these brokers.

    Raises:
        pydantic.ValidationError: The environment asks for something half.
    """
    return {"bootstrap.servers": bootstrap_servers, **KafkaSecurity().client_settings()}
