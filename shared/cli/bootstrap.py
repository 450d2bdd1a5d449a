"""The first champion: ask the train function for one when the registry has none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from shared.registry.client import RegistryClient
from shared.registry.errors import RegistryUnavailable

MODEL: Final = "fraud"
CHAMPION: Final = "champion"

_TRAINING_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.25
_TAIL_LINES: Final = 12


class TrainingFailed(RuntimeError):
    """The train function answered with an error; the message has its answer and its log's last lines."""


async def has_champion(mlflow_uri: str) -> bool:
    """Whether the registry names a champion.

    Raises:
        RegistryUnavailable: The registry does not answer.
    """
    return await asyncio.to_thread(RegistryClient(mlflow_uri).version_by_alias, MODEL, CHAMPION) is not None


async def champion_appears(mlflow_uri: str) -> None:
    """Wait until the registry names a champion."""
    while True:
        with contextlib.suppress(RegistryUnavailable):
            if await has_champion(mlflow_uri):
                return
        await asyncio.sleep(_POLL_SECONDS)


async def train(url: str, log: Path, announce: Callable[[str], None]) -> None:
    """Send the train function the event its schedule sends, and wait for its end.

    Args:
        url: Address of the train function.
        log: Its log file; lines that appear meanwhile are announced as progress.
        announce: Takes a line of progress.

    Raises:
        TrainingFailed: It answered with an error, or not within ten minutes.
    """
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-type": "dev.knative.sources.ping",
        "ce-source": "/fraud/up",
        "content-type": "application/json",
    }
    async with _progress_of(log, announce):
        try:
            timeout = aiohttp.ClientTimeout(total=_TRAINING_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(url, data=b"{}", headers=headers) as answer,
            ):
                if answer.status < 300:
                    return
                what = f"answered {answer.status}: {_reason(await answer.text())}"
        except (aiohttp.ClientError, TimeoutError) as error:
            what = f"gave no answer: {error!r}"
    lines = "\n".join(_messages(log, _any)).splitlines()
    tail = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
    raise TrainingFailed(f"the train function {what}\n{tail}")


@contextlib.asynccontextmanager
async def _progress_of(log: Path, announce: Callable[[str], None]) -> AsyncIterator[None]:
    """Announce what the train function itself says in `log` inside the block."""
    known = len(_messages(log, _of_the_training))

    async def follow() -> None:
        nonlocal known
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            messages = _messages(log, _of_the_training)
            for message in messages[known:]:
                announce(f"train: {message}")
            known = len(messages)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _messages(log: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    """Return the messages of the wanted entries in a log of JSON lines; a line cut short is left out."""
    if not log.exists():
        return []
    entries = []
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            entries.append(json.loads(line))
    return [str(entry.get("message", "")) for entry in entries if wanted(entry)]


def _any(_: Mapping[str, Any]) -> bool:
    return True


def _of_the_training(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is the function's own, not the emulator's word about it nor a library's."""
    return str(entry.get("logger", "")).startswith("functions.train")


def _reason(body: str) -> str:
    """Return the detail of a problem document (RFC 9457); any other body as it is."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body
