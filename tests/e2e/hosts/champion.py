"""The one model that all compared hosts answer with."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from functions.train.bootstrap import first_models, simulated_dataset
from functions.train.settings import TrainSettings
from shared.registry.client import RegistryClient
from shared.registry.disk_copy import StoredModel

_TRANSACTIONS = 30_000
_FRAUD_SHARE = 0.05
"""That of the recorded stream: enough fraud for a threshold to decline at, which few examples give otherwise."""
_SEED = 7


def trained(folder: Path) -> StoredModel:
    """Train a small champion from a simulated history, as a first start does, in a process of its own."""
    file = folder / "bundle.zip"
    subprocess.run([sys.executable, "-m", __name__, str(file)], check=True, stdout=subprocess.DEVNULL)
    data = file.read_bytes()
    return StoredModel("1", "verify-hosts", hashlib.sha256(data).hexdigest(), data)


def registered(tracking_uri: str) -> StoredModel:
    """Take the champion of a registry: the one that a deployed system follows.

    Raises:
        RegistryUnavailable: The registry is away.
        LookupError: It has no champion.
    """
    registry = RegistryClient(tracking_uri)
    version = registry.version_by_alias("fraud", "champion")
    if version is None:
        raise LookupError(f"{tracking_uri} has no champion")
    data = registry.download_bundle(version)
    return StoredModel(version.version, version.run_id, hashlib.sha256(data).hexdigest(), data)


def _train(file: Path) -> None:
    settings = TrainSettings(fraud_bootstrap_transactions=_TRANSACTIONS, fraud_bootstrap_fraud_share=_FRAUD_SHARE)
    champion, _ = first_models(simulated_dataset(_SEED, settings), champion=True, seed=_SEED, settings=settings)
    file.write_bytes(champion.bundle)


if __name__ == "__main__":
    _train(Path(sys.argv[1]))
