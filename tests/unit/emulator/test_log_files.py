import json
from pathlib import Path
from typing import Any

from shared.emulator.log_files import KEPT_FILES, LogFile, Tail, log_path


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_keep_their_fields_and_get_service_and_replica(tmp_path: Path) -> None:
    path = log_path(tmp_path, "tiny")
    log = LogFile(path, "tiny")
    log.write("tiny-1", b'{"message": "m", "level": "warning", "trace_id": "t", "replica": "other"}')
    log.close()
    assert entries(path) == [
        {"message": "m", "level": "warning", "trace_id": "t", "replica": "tiny-1", "service": "tiny"}
    ]


def test_other_lines_are_wrapped(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.jsonl", "tiny")
    for line in (b"plain \xff", b"", b"[1, 2]", b"{broken"):
        log.write("tiny-1", line)
    log.close()
    assert [entry["message"] for entry in entries(tmp_path / "x.jsonl")] == ["plain \ufffd", "[1, 2]", "{broken"]
    assert all(entry["time"] and entry["level"] == "info" for entry in entries(tmp_path / "x.jsonl"))


def test_size_is_bounded_and_the_youngest_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    log = LogFile(path, "tiny", max_bytes=1_000)
    for number in range(200):
        log.write("tiny-1", f"line {number}".encode())
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT_FILES
    assert all(file.stat().st_size <= 1_000 for file in files)
    assert entries(path)[-1]["message"] == "line 199"
    kept = [entry["message"] for file in sorted(files, reverse=True) for entry in entries(file)]
    assert kept == [f"line {number}" for number in range(200 - len(kept), 200)]


def test_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        log = LogFile(tmp_path / "x.jsonl", "tiny")
        log.write("tiny-1", text)
        log.close()
    assert [entry["message"] for entry in entries(tmp_path / "x.jsonl")] == ["one", "two"]


def test_tail_keeps_the_last_lines_and_shows_messages() -> None:
    tail = Tail(lines=2)
    for line in (b"gone", b'{"message": "m", "exc_info": "Traceback"}', b"last"):
        tail.add(line)
    assert str(tail) == "m\nTraceback\nlast"
