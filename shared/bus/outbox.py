"""A journal of events on their way to Kafka, so that a killed process loses none it has answered for.

Before a function answers, it appends the events of the answer to a segment file; a segment is deleted once Kafka has
acknowledged all of its records. What a kill -9 leaves behind is found by the next process that opens the same folder
(the segment's lock is free then) and published again: at least once, which the stable event ids turn into exactly once.
The write goes to the page cache, so it costs microseconds and survives the death of the process, not a power loss.
"""

import fcntl
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_log = logging.getLogger(__name__)
_FRAME: Final = struct.Struct("<IIH")  # payload length, CRC-32 of the payload, length of its JSON head
_NUL = b"\0"  # no attribute of an event holds one
_SUFFIX = ".outbox"
SEGMENT_BYTES: Final = 4 << 20


class Record(NamedTuple):
    """One record as Kafka gets it."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Segment:
    """One journal file and the number of its records that Kafka has not acknowledged yet."""

    def __init__(self, path: Path, descriptor: int, on_done: Callable[["Segment"], None]) -> None:
        self.path = path
        self.size = 0
        self.pending = 0
        self.sealed = False
        self._descriptor = descriptor
        self._on_done = on_done

    def append(self, frames: Sequence[bytes]) -> None:
        """Write frames in one system call.

        Raises:
            OSError: The disk took them not, or not whole; the file is as before.
        """
        data = b"".join(frames)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # Nothing behind half a record could be read again.
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)
        self.pending += len(frames)

    def acknowledge(self) -> None:
        """Count one record as safe; the file goes when it is sealed and all of its records are."""
        self.pending -= 1
        if self.sealed and self.pending == 0:
            self._on_done(self)

    def seal(self) -> None:
        """Take no more records."""
        self.sealed = True
        if self.pending == 0:
            self._on_done(self)

    def delete(self) -> None:
        """Remove the file and give up its lock."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Outbox:
    """Segments of one process in a folder that processes may share.

    Not thread-safe: one event loop owns it.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._count = 0
        self._own: set[Path] = set()
        self._active = self._open()

    def append(self, records: Sequence[Record]) -> Segment:
        """Journal records before the answer that they belong to; returns the segment to acknowledge to."""
        if self._active.size >= self._segment_bytes:
            full, self._active = self._active, self._open()
            full.seal()
        self._active.append([_encode(record) for record in records])
        return self._active

    def adopt(self) -> Iterator[tuple[Segment, list[Record]]]:
        """Yield what dead processes left: each segment, now ours, with its records to publish again.

        The caller acknowledges every record to the segment, which deletes it in the end.
        """
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path in self._own:
                continue
            descriptor = _lock(path)
            if descriptor is None:
                continue
            segment = Segment(path, descriptor, self._finish)
            records = list(_decode(path))
            segment.pending = len(records)
            self._own.add(path)
            segment.seal()
            if records:
                yield segment, records

    def close(self) -> None:
        """Seal the active segment; with nothing pending it leaves no file."""
        self._active.seal()

    def _open(self) -> Segment:
        self._count += 1
        path = self._folder / f"{time.time_ns()}-{os.getpid()}-{self._count}{_SUFFIX}"
        # Locked under another name first: nobody may find it without its lock.
        hidden = path.with_suffix(".new")
        descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hidden.rename(path)
        self._own.add(path)
        return Segment(path, descriptor, self._finish)

    def _finish(self, segment: Segment) -> None:
        self._own.discard(segment.path)
        segment.delete()


def _lock(path: Path) -> int | None:
    """Lock a segment whose owner is gone; None while it lives or when the file has just gone."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:  # its owner finished between our open and our lock
        os.close(descriptor)
        return None
    return descriptor


def _encode(record: Record) -> bytes:
    """Write a frame: lengths and checksum; topic, key, header names and values with NUL between them; the value."""
    head = [record.topic.encode(), b"" if record.key is None else b"k" + record.key]
    for name, value in record.headers:
        head += (name.encode(), value)
    joined = _NUL.join(head)
    payload = joined + record.value
    return _FRAME.pack(len(payload), zlib.crc32(payload), len(joined)) + payload


def _decode(path: Path) -> Iterator[Record]:
    data = path.read_bytes()
    position = 0
    while position + _FRAME.size <= len(data):
        length, checksum, head_length = _FRAME.unpack_from(data, position)
        payload = data[position + _FRAME.size : position + _FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            break
        topic, key, *headers = payload[:head_length].split(_NUL)
        yield Record(
            topic.decode(),
            key[1:] if key else None,
            payload[head_length:],
            [(headers[i].decode(), headers[i + 1]) for i in range(0, len(headers), 2)],
        )
        position += _FRAME.size + length
    if position < len(data):
        # Cut off in the middle of a write: that answer was never given.
        _log.warning("journal %s ends in %d bytes of an unfinished record", path.name, len(data) - position)
