"""Containers as a cluster starts them: read-only, as nobody, and with no network but to what stands beside them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

USER = 65532
PORT = 9123  # not the images' default: PORT must be honoured
STATE = "/var/lib/fraud"
_PATIENCE_SECONDS = 60.0


def docker(*arguments: str, timeout: float = 120) -> str:
    """Run a docker command and return what it printed.

    Raises:
        RuntimeError: It failed; the message has its error output.
    """
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    if ended.returncode:
        raise RuntimeError(f"docker {' '.join(arguments[:3])}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def image(target: str) -> str:
    return f"dev.local/fraud-{target}:1"


def inspect(name: str) -> dict[str, Any]:
    (document,) = json.loads(docker("inspect", name))
    return dict(document)


class Container:
    """A container that was made and not started."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    def start(self) -> None:
        docker("start", self.identity)

    def python(self, code: str) -> str:
        """Run Python inside, as the container's own user, and return what it printed."""
        return docker("exec", self.identity, "python", "-c", code)

    def network(self) -> str:
        """The value of --network by which another container shares this one's loopback interface."""
        return f"container:{self.identity}"

    def logs(self) -> str:
        ended = subprocess.run(["docker", "logs", self.identity], capture_output=True, text=True, check=False)
        return (ended.stdout + ended.stderr)[-2_000:]

    @property
    def started(self) -> float:
        """When its process was started, in seconds since the epoch."""
        text = inspect(self.identity)["State"]["StartedAt"]  # nanoseconds, which Python does not read
        return datetime.fromisoformat(text[:26] + "+00:00").timestamp()


@contextmanager
def container(
    target: str,
    *,
    network: str = "none",
    command: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    state: Path | None = None,
) -> Iterator[Container]:
    """Make a container of an image under the restrictions of the manifests; it is removed at the end.

    Args:
        target: The image's target in the Dockerfile.
        network: "none", or another container's network.
        command: Instead of the image's own.
        environment: Beyond the image's own.
        state: Folder of this machine that becomes the writable one; without it, memory.
    """
    arguments = ["create", "--read-only", "--network", network, "--cap-drop", "ALL", "--user", f"{USER}:{USER}"]
    arguments += ["--security-opt", "no-new-privileges", "--env", f"PORT={PORT}"]
    arguments += [part for name, value in (environment or {}).items() for part in ("--env", f"{name}={value}")]
    if state is None:
        arguments += ["--tmpfs", f"{STATE}:uid={USER},gid={USER},mode=0700"]
    else:
        arguments += ["--volume", f"{state}:{STATE}"]
    made = Container(docker(*arguments, image(target), *command))
    try:
        yield made
    finally:
        docker("rm", "--force", "--volumes", made.identity)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of this machine that a container's user may write to."""
    with tempfile.TemporaryDirectory(prefix="fraud-image-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


def give(path: Path) -> None:
    """Hand a folder and all in it to the containers' user, where this process may."""
    if os.geteuid() == 0:
        for one in (path, *path.rglob("*")):
            os.chown(one, USER, USER)


def get(where: Container, path: str) -> tuple[int, str]:
    """Ask a function from inside its own network until it answers at all: status and body.

    Raises:
        TimeoutError: It did not within a minute.
    """
    code = (
        "import sys, urllib.request as r, urllib.error as e\n"
        f"try: a = r.urlopen('http://127.0.0.1:{PORT}{path}', timeout=10)\n"
        "except e.HTTPError as answer: a = answer\n"
        "print(a.status); sys.stdout.write(a.read().decode())"
    )
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            status, _, body = where.python(code).partition("\n")
            return int(status), body
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: {error}\n{where.logs()}") from error
            time.sleep(0.2)
