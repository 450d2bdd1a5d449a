"""Where the lake is and how long it remembers."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_REGION: Final = "us-east-1"


class LakeSettings(BaseSettings):
    """Environment variables of everything that reads or writes the lake.

    Without keys the usual chain of AWS credentials applies (environment, instance or pod role).
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    fraud_lake_uri: str = Field(
        default="s3://fraud-lake",
        pattern=r"^s3://[^/]",
        description="Where the tables are: s3://BUCKET[/PREFIX].",
    )
    aws_endpoint_url: str | None = Field(default=None, description="Address of an S3 service other than AWS.")
    aws_access_key_id: SecretStr | None = Field(default=None, description="Credentials for it.")
    aws_secret_access_key: SecretStr | None = Field(default=None, description="As above.")
    aws_session_token: SecretStr | None = Field(default=None, description="As above, of a role's temporary ones.")
    aws_region: str = Field(default=DEFAULT_REGION, description="Region of the bucket.")
    fraud_lake_retention_days: int = Field(
        default=400, ge=1, description="How long every version of a table can still be read."
    )

    @property
    def root(self) -> str:
        """The lake's address without a slash at its end."""
        return self.fraud_lake_uri.rstrip("/")

    def keys(self) -> tuple[str, str, str | None] | None:
        """Access key, secret key and session token, where the environment gives any."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        token = None if self.aws_session_token is None else self.aws_session_token.get_secret_value()
        return self.aws_access_key_id.get_secret_value(), self.aws_secret_access_key.get_secret_value(), token

    def bucket_and_prefix(self) -> tuple[str, str]:
        """The bucket, and what the keys of all objects begin with ("" or ending in a slash)."""
        bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        return bucket, f"{prefix}/" if prefix else ""

    def storage_options(self) -> dict[str, str]:
        """Options of the Delta library. A version of a table is one object put only if there is none yet."""
        options = {"AWS_REGION": self.aws_region, "conditional_put": "etag"}
        if self.aws_endpoint_url is not None:
            options["AWS_ENDPOINT_URL"] = self.aws_endpoint_url
            options["AWS_ALLOW_HTTP"] = str(self.aws_endpoint_url.startswith("http://")).lower()
        if (keys := self.keys()) is not None:
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
            options |= {name: key for name, key in zip(names, keys, strict=True) if key is not None}
        return options
