"""MLflow's REST API, as far as serving needs it.

Protocol: https://mlflow.org/docs/latest/rest-api.html; artifacts come through the server's proxy
(``mlflow-artifacts`` URIs), so that no storage credentials are needed here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import urllib3

from shared.registry.errors import RegistryUnavailable
from shared.scoring.errors import BundleError
from shared.scoring.manifest import ARTIFACT_PATH

API = "/api/2.0/mlflow"
ARTIFACT_API = "/api/2.0/mlflow-artifacts/artifacts"
SHA256_TAG = "bundle_sha256"
"""Tag of a model version that holds the SHA-256 of its serving bundle."""

_CONNECT_TIMEOUT_S = 2.0
_READ_TIMEOUT_S = 10.0
_PAGE = 200


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version of a model.

    Attributes:
        name: Registered model.
        version: Number in the registry, as text.
        run_id: The training run that made it.
        created_ms: UTC milliseconds.
        aliases: Aliases that name it now.
        tags: Its tags, the digest of its bundle among them.
    """

    name: str
    version: str
    run_id: str
    created_ms: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def bundle_sha256(self) -> str | None:
        """SHA-256 of the serving bundle; None when the version was registered without one."""
        return self.tags.get(SHA256_TAG)


class RegistryClient:
    """Reads a model registry; safe to share between threads.

    Args:
        uri: Address of the MLflow server; user and password in it are sent as basic authentication.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address of an MLflow server must be http:// or https://")
        port = f":{parts.port}" if parts.port else ""
        self._base = f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
        login = f"{parts.username}:{parts.password or ''}" if parts.username else None
        self._http = urllib3.PoolManager(
            headers=urllib3.make_headers(basic_auth=login, keep_alive=True),
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S),
            retries=False,
        )

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """Return the version an alias names, or None when the model or the alias does not exist.

        Raises:
            RegistryUnavailable: No answer, or none that MLflow gives.
        """
        status, document = self._get(f"{API}/registered-models/alias", {"name": name, "alias": alias})
        code = document.get("error_code")
        # MLflow answers 404 for a model it does not know and 400 for an alias it does not know.
        if code == "RESOURCE_DOES_NOT_EXIST":
            return None
        if code == "INVALID_PARAMETER_VALUE" and "not found" in str(document.get("message")):
            return None
        _require_success(status, document)
        found = _version(document.get("model_version"))
        # This route leaves the version's other aliases out in some releases; the one asked for is sure.
        return found if alias in found.aliases else _with_alias(found, alias)

    def versions(self, name: str) -> list[ModelVersion]:
        """Return all versions of a model, newest first; none when the model does not exist.

        The search route leaves aliases out, so they are read from the registered model.

        Raises:
            RegistryUnavailable: No answer, or none that MLflow gives.
        """
        status, document = self._get(f"{API}/registered-models/get", {"name": name})
        if document.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return []
        _require_success(status, document)
        aliases: dict[str, list[str]] = {}
        for entry in document.get("registered_model", {}).get("aliases", ()):
            aliases.setdefault(str(entry["version"]), []).append(entry["alias"])
        found: list[ModelVersion] = []
        token = ""
        while True:
            query = {"filter": f"name='{name}'", "max_results": str(_PAGE), "page_token": token}
            status, document = self._get(f"{API}/model-versions/search", query)
            _require_success(status, document)
            for entry in document.get("model_versions", ()):
                version = _version(entry)
                found.append(_with_alias(version, *sorted(aliases.get(version.version, ()))))
            token = document.get("next_page_token", "")
            if not token:
                return sorted(found, key=lambda version: -int(version.version))

    def download_bundle(self, version: ModelVersion) -> bytes:
        """Return the bytes of a version's serving bundle, its SHA-256 checked.

        Raises:
            RegistryUnavailable: No answer, or none that MLflow gives.
            BundleError: The version has no bundle, or what arrived is not the bundle that was registered.
        """
        wanted = version.bundle_sha256
        if wanted is None:
            raise BundleError(f"version {version.version} has no tag {SHA256_TAG}: it was registered without a bundle")
        data = self.download_artifact(version, ARTIFACT_PATH)
        if data is None:
            raise BundleError(f"{ARTIFACT_PATH} is missing from run {version.run_id}")
        found = hashlib.sha256(data).hexdigest()
        if found != wanted:
            raise BundleError(f"{ARTIFACT_PATH} is corrupt: its SHA-256 is {found}, registered was {wanted}")
        return data

    def download_artifact(self, version: ModelVersion, artifact: str) -> bytes | None:
        """Return the bytes of a file that the run behind a version logged; None when it logged none of that path.

        Raises:
            RegistryUnavailable: No answer, or none that MLflow gives.
            BundleError: The server does not serve artifacts.
        """
        status, document = self._get(f"{API}/runs/get", {"run_id": version.run_id})
        _require_success(status, document)
        try:
            root = str(document["run"]["info"]["artifact_uri"])
        except (KeyError, TypeError) as error:
            raise RegistryUnavailable(f"the registry answered with no run: {error!r}") from error
        if not re.match(r"mlflow-artifacts:/", root):
            raise BundleError(f"artifacts under {root!r} are not served by the MLflow server (--serve-artifacts)")
        path = quote(f"{urlsplit(root).path.strip('/')}/{artifact}")
        response = self._request(f"{ARTIFACT_API}/{path}", {})
        # With S3 behind it MLflow answers 500 for what is not there.
        if response.status == 404 or (response.status == 500 and not self._lists(version, artifact)):
            return None
        if response.status != 200:
            raise RegistryUnavailable(f"{artifact} of version {version.version}: status {response.status}")
        return response.data

    def _lists(self, version: ModelVersion, artifact: str) -> bool:
        folder = artifact.rpartition("/")[0]
        status, document = self._get(f"{API}/artifacts/list", {"run_id": version.run_id, "path": folder})
        _require_success(status, document)
        return any(one.get("path") == artifact for one in document.get("files", ()))

    def _get(self, path: str, query: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        response = self._request(path, query)
        try:
            document = orjson.loads(response.data)
        except orjson.JSONDecodeError as error:
            raise RegistryUnavailable(
                f"{path} answered status {response.status} with something that is not JSON"
            ) from error
        if not isinstance(document, dict):
            raise RegistryUnavailable(f"{path} answered with something that is not an object")
        return response.status, document

    def _request(self, path: str, query: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request("GET", self._base + path, fields=dict(query) or None)
        except urllib3.exceptions.HTTPError as error:
            raise RegistryUnavailable(f"{self._base} does not answer: {error}") from error


def _require_success(status: int, document: Mapping[str, Any]) -> None:
    if status != 200:
        raise RegistryUnavailable(f"the registry answered status {status}: {document.get('message', document)}")


def _version(entry: Any) -> ModelVersion:
    try:
        return ModelVersion(
            name=str(entry["name"]),
            version=str(int(entry["version"])),
            run_id=str(entry["run_id"]),
            created_ms=int(entry["creation_timestamp"]),
            aliases=tuple(sorted(entry.get("aliases", ()))),
            tags={tag["key"]: tag.get("value", "") for tag in entry.get("tags", ())},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RegistryUnavailable(f"the registry answered with no model version: {error!r}") from error


def _with_alias(version: ModelVersion, *aliases: str) -> ModelVersion:
    return ModelVersion(version.name, version.version, version.run_id, version.created_ms, aliases, version.tags)
