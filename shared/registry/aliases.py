"""Moving aliases and writing tags in the model registry, by the same REST API that serving reads.

MLflow's `registered-models/alias` sets an alias in one step: whoever asks sees the old version or the new one, never
none.
"""

from __future__ import annotations

from typing import Final

import orjson
import urllib3

from shared.registry.client import API, RegistryClient
from shared.registry.errors import RegistryUnavailable

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
PREVIOUS: Final = "previous"
_MOST_TAG: Final = 4_900
"""Characters of a tag's value that MLflow keeps for certain (5,000 is its limit)."""


class AliasRegistry(RegistryClient):
    """A registry client that may write. Every method raises RegistryUnavailable when the registry does not take it."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version, in one step."""
        self._write("POST", "registered-models/alias", {"name": name, "alias": alias, "version": version})

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away; one that is not there is no error."""
        self._write("DELETE", "registered-models/alias", {"name": name, "alias": alias})

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version; a value that is too long is cut."""
        fields = {"name": name, "version": version, "key": key, "value": value[:_MOST_TAG]}
        self._write("POST", "model-versions/set-tag", fields)

    def _write(self, method: str, call: str, fields: dict[str, str]) -> None:
        try:
            answer = self._http.request(
                method, f"{self._base}{API}/{call}", body=orjson.dumps(fields),
                headers={**self._http.headers, "content-type": "application/json"},
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise RegistryUnavailable(f"{self._base} does not answer: {error}") from error
        if answer.status != 200:
            raise RegistryUnavailable(f"{call} answered status {answer.status}: {answer.data[:200]!r}")
