"""A child process of the emulator: its output line by line, and its end as a future."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LONGEST_LINE = 1 << 20


class _Lines(asyncio.Protocol):
    """Cuts a stream into lines; a line longer than 1 MiB is cut too."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line)
        if len(self._rest) > _LONGEST_LINE:
            self._on_line(self._rest)
            self._rest = b""

    def connection_lost(self, _: Exception | None) -> None:
        if self._rest:
            self._on_line(self._rest)
            self._rest = b""


class Child:
    """A started process.

    It leads a session of its own: Ctrl-C in a terminal reaches the emulator alone, so that shutting down keeps its
    order, and the kernel's scheduler gives each session its share, as a cluster gives each container its own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        inherit: Sequence[int] = (),
    ) -> None:
        """Start a process.

        Args:
            command: Program and arguments.
            environment: The whole environment of the process.
            folder: Its working directory.
            inherit: File descriptors that it inherits under their numbers.

        Raises:
            OSError: the program cannot be started.
        """
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._process = subprocess.Popen(  # noqa: S603 - commands come from our manifests
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(inherit),
            start_new_session=True,
        )
        threading.Thread(target=_wait, args=(self._process, loop, self.exited), daemon=True).start()

    async def follow_output(self, on_line: Callable[[bytes], None]) -> None:
        """Begin to call `on_line` with each line of standard output and error, without the line end."""
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: _Lines(on_line), self._process.stdout)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self.exited.done()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and what it started (SIGKILL to its process group)."""
        self._signal(signal.SIGKILL, group=True)

    async def stop(self, grace: float) -> None:
        """Ask it to end, kill it after `grace` seconds, return when it is gone."""
        self.terminate()
        done, _ = await asyncio.wait({self.exited}, timeout=grace)
        if not done:
            self.kill()
            await self.exited

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        if self.exited.done():
            return
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return  # it ended by itself; the waiting thread will say so


def _wait(process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, exited: "asyncio.Future[int]") -> None:
    code = process.wait()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_set_code, exited, code)


def _set_code(exited: "asyncio.Future[int]", code: int) -> None:
    if not exited.done():
        exited.set_result(code)


def describe_exit(code: int) -> str:
    """An exit code in words: "exit code 1", "killed by SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
