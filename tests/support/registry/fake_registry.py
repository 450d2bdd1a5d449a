"""A registry in memory with the follower's two methods, whose failures can be chosen."""

from __future__ import annotations

import hashlib

from shared.registry.client import SHA256_TAG, ModelVersion
from shared.registry.errors import RegistryUnavailable


class FakeRegistry:
    def __init__(self) -> None:
        self.bundles: dict[str, bytes] = {}
        self.aliases: dict[str, str] = {}
        self.away = False
        self.downloads = 0

    def register(self, version: str, bundle: bytes, alias: str = "champion") -> None:
        self.bundles[version] = bundle
        self.aliases[alias] = version

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        if self.away:
            raise RegistryUnavailable("the registry is away")
        version = self.aliases.get(alias)
        if version is None:
            return None
        tags = {SHA256_TAG: hashlib.sha256(self.bundles[version]).hexdigest()}
        return ModelVersion(name, version, f"run-{version}", 0, (alias,), tags)

    def download_bundle(self, version: ModelVersion) -> bytes:
        if self.away:
            raise RegistryUnavailable("the registry is away")
        self.downloads += 1
        return self.bundles[version.version]
