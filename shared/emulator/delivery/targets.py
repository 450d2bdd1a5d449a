"""Where services are reached: a JSON file that somebody else keeps up to date."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Final

from shared.emulator.delivery.plan import Sink

_LOOK_EVERY: Final = 0.25
_log = logging.getLogger(__name__)


class Targets:
    """Base addresses by service name, read again whenever the file changes.

    A file that is missing or cannot be read leaves the known addresses in place: its writer may be at it.

    Args:
        file: A JSON object, service name -> base URL.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._addresses: dict[str, str] = {}
        self.refresh()

    def url(self, sink: Sink) -> str | None:
        """Return the address to post to; None while the service has none."""
        base = self._addresses.get(sink.service)
        return None if base is None else base.rstrip("/") + sink.path

    def refresh(self) -> None:
        """Read the file if it is another than the one last read."""
        try:
            status = self._file.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            content = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return
        except ValueError as error:
            _log.warning("targets file %s is not JSON: %s", self._file, error)
            return
        if not isinstance(content, dict) or not all(isinstance(url, str) for url in content.values()):
            _log.warning("targets file %s is not an object of addresses", self._file)
            return
        self._seen = seen
        self._addresses = content
        _log.info("targets: %s", content)

    async def follow(self) -> None:
        """Refresh for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self.refresh()
