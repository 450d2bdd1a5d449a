"""The scripts say what is missing before they touch anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "knative" / "scripts"
NEEDED = ("bash", "env", "dirname", "sed", "cat", "grep", "cut")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder that is the whole PATH, with the least that a script needs."""
    for name in NEEDED:
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return tmp_path


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
    (folder / name).chmod(0o755)


def run(folder: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("CONTEXT", "LOAD_IMAGE")}
    environment |= {"PATH": str(folder), **variables}
    command = [str(folder / "bash"), str(SCRIPTS / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_a_missing_kubectl(tools: Path) -> None:
    ended = run(tools, "up.sh", "fresh")
    assert ended.returncode == 1
    assert "error: kubectl is not installed: https://" in ended.stderr


def test_a_missing_kind(tools: Path) -> None:
    tool(tools, "kubectl", "exit 0")
    ended = run(tools, "up.sh", "fresh")
    assert ended.returncode == 1
    assert "error: kind is not installed" in ended.stderr


def test_an_engine_that_does_not_answer(tools: Path) -> None:
    for name in ("kubectl", "kind"):
        tool(tools, name, "exit 0")
    tool(tools, "docker", "exit 1")
    ended = run(tools, "down.sh")
    assert ended.returncode == 1
    assert "error: the Docker engine does not answer" in ended.stderr


def test_a_context_where_no_cluster_answers(tools: Path) -> None:
    tool(tools, "kubectl", "exit 1")
    ended = run(tools, "up.sh", "fast", CONTEXT="nowhere")
    assert ended.returncode == 1
    assert "error: no cluster answers in the context nowhere" in ended.stderr


def test_a_cluster_without_knative(tools: Path) -> None:
    tool(tools, "kubectl", 'case "$*" in *" get crd "*) exit 1 ;; esac')
    tool(tools, "openssl", "exit 0")
    ended = run(tools, "up.sh", "fresh", CONTEXT="bare")
    assert ended.returncode == 1
    assert "error: the cluster of bare has no Knative Serving" in ended.stderr


def test_wrong_use(tools: Path) -> None:
    ended = run(tools, "up.sh", "slow")
    assert ended.returncode == 1
    assert "usage: up.sh fresh|fast" in ended.stderr
