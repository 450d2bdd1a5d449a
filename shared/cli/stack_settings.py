"""Settings of the system that `fraud up` runs, beside those of its backing services."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT: Final = Path(__file__).resolve().parents[2]
SCORER: Final = "scorer"
TRAINER: Final = "train"

# Settings of the machinery itself; every other FRAUD_* variable is a function's and is passed on to all of them.
_OWN_VARIABLES: Final = frozenset(
    {"FRAUD_HOME", "FRAUD_CACHE", "FRAUD_MANIFESTS", "FRAUD_MAVEN_REPOSITORY", "FRAUD_STATE_DIR"}
)


class StackSettings(BaseSettings):
    """Ports and manifests of the functions; each setting is an environment variable of the name given as its alias.

    Attributes:
        api_port: Port of the decision API (the scorer).
        functions_port: First port of the other functions, which take it and the next ones in the manifests' order.
        admin_port: Port of the emulator's admin interface.
        manifests: Folder of the Knative manifests to run.
    """

    model_config = SettingsConfigDict(populate_by_name=True, env_ignore_empty=True, env_prefix="FRAUD_")

    api_port: int = Field(8000, alias="FRAUD_API_PORT", ge=1, le=65535)
    functions_port: int = Field(8001, alias="FRAUD_FUNCTIONS_PORT", ge=1, le=65500)
    admin_port: int = Field(8090, alias="FRAUD_ADMIN_PORT", ge=1, le=65535)
    manifests: Path = Field(PROJECT / "knative" / "base", alias="FRAUD_MANIFESTS")

    def service_ports(self, services: list[str]) -> dict[str, int]:
        """Return the port of each service, given their names in the manifests' order."""
        others = [name for name in services if name != SCORER]
        ports = {name: self.functions_port + number for number, name in enumerate(others)}
        return {SCORER: self.api_port} | ports if SCORER in services else ports


def passed_on() -> dict[str, str]:
    """Return the `FRAUD_*` variables of this process that are the functions' own settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("FRAUD_") and not name.endswith("_PORT") and name not in _OWN_VARIABLES
    }
