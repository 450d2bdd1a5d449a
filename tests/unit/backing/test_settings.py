"""Which environment variables the backing services and the stack listen to."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.backing.settings import BackingSettings
from shared.cli.stack_settings import StackSettings


def test_only_variables_of_our_own_names_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HOME is not our state folder, and REDIS_PORT is what Kubernetes calls something else."""
    monkeypatch.delenv("FRAUD_HOME", raising=False)
    for name, value in {"HOME": "/somebody", "CACHE": "/x", "REDIS_PORT": "tcp://1.2.3.4:5", "API_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = BackingSettings()
    assert settings.home == tmp_path / ".fraud"
    assert settings.redis_port == 6379
    assert settings.cache != Path("/x")
    assert StackSettings().api_port == 8000


def test_the_documented_variables_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FRAUD_REDIS_PORT", "16379")
    monkeypatch.setenv("FRAUD_API_PORT", "18000")
    settings = BackingSettings()
    assert (settings.home, settings.redis_port) == (tmp_path / "state", 16379)
    assert StackSettings().api_port == 18000
