from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bus.outbox import Outbox, Record
from tests.support.bus import outbox_process
from tests.support.bus.outbox_process import record

Start = Callable[..., "subprocess.Popen[str]"]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def adopted(folder: Path) -> list[Record]:
    return [one for _, found in Outbox(folder).adopt() for one in found]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that work with the folder ``tmp_path / "outbox"``."""
    started: list[subprocess.Popen[str]] = []

    def start_one(role: str, argument: object) -> subprocess.Popen[str]:
        command = [sys.executable, outbox_process.__file__, role, str(tmp_path / "outbox"), str(argument)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def killed_writer(start: Start, records: int) -> None:
    writer = start("write", records)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    writer.kill()  # SIGKILL
    writer.wait()


def test_an_acknowledged_and_closed_journal_leaves_no_file(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for segment in [outbox.append([record(0), record(1)]), outbox.append([record(2)])]:
        segment.acknowledge()
    outbox.close()
    assert len(files(tmp_path)) == 1  # one is not acknowledged yet
    segment.acknowledge()
    assert files(tmp_path) == []


def test_a_closed_journal_keeps_what_was_not_acknowledged(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.append([record(0)]).acknowledge()
    outbox.append([record(1)])
    outbox.close()
    assert len(files(tmp_path)) == 1


def test_full_segments_are_deleted_as_soon_as_they_are_acknowledged(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, segment_bytes=500)
    segments = [outbox.append([record(number)]) for number in range(100)]
    assert len(files(tmp_path)) > 5
    for segment in segments:
        segment.acknowledge()
    assert len(files(tmp_path)) == 1  # the active one
    outbox.append([record(100)]).acknowledge()
    outbox.close()
    assert files(tmp_path) == []


def test_nobody_adopts_from_the_living(tmp_path: Path) -> None:
    living = Outbox(tmp_path)
    living.append([record(0)])
    assert adopted(tmp_path) == []
    assert list(living.adopt()) == []


def test_a_killed_process_leaves_all_it_has_appended(tmp_path: Path, start: Start) -> None:
    killed_writer(start, 300)
    heir = Outbox(tmp_path / "outbox")
    found = list(heir.adopt())
    assert len(found) > 3  # several segments
    assert [one for _, records in found for one in records] == [record(number) for number in range(300)]
    assert list(heir.adopt()) == []  # they are ours now

    for segment, records in found:
        for _ in records:
            segment.acknowledge()
    heir.close()
    assert files(tmp_path / "outbox") == []


def test_two_heirs_at_once_get_each_record_once(tmp_path: Path, start: Start) -> None:
    killed_writer(start, 2_000)
    go = tmp_path / "go"
    heirs = [start("adopt", go), start("adopt", go)]
    go.touch()
    found = []
    for heir in heirs:
        assert heir.stdout is not None
        found += json.loads(heir.stdout.readline())
    assert sorted(found) == sorted(f"value-{number}" for number in range(2_000))


def test_an_heir_killed_before_it_has_published_leaves_all_to_the_next(tmp_path: Path, start: Start) -> None:
    killed_writer(start, 50)
    (tmp_path / "go").touch()
    heir = start("adopt", tmp_path / "go")
    assert heir.stdout is not None
    assert len(json.loads(heir.stdout.readline())) == 50
    assert adopted(tmp_path / "outbox") == []
    heir.kill()
    heir.wait()
    assert len(adopted(tmp_path / "outbox")) == 50


@pytest.mark.parametrize("lost_bytes", [1, 5, 20, 45])
def test_a_record_cut_off_in_the_middle_is_left_out_and_said(
    tmp_path: Path, start: Start, lost_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    killed_writer(start, 10)
    [path] = (path for path in files(tmp_path / "outbox") if path.stat().st_size)
    with path.open("ab") as journal:
        journal.truncate(path.stat().st_size - lost_bytes)
    with caplog.at_level(logging.WARNING):
        assert adopted(tmp_path / "outbox") == [record(number) for number in range(9)]
    assert "unfinished record" in caplog.text


def test_a_damaged_record_is_never_published(tmp_path: Path, start: Start) -> None:
    killed_writer(start, 3)
    [path] = (path for path in files(tmp_path / "outbox") if path.stat().st_size)
    damaged = path.read_bytes().replace(b"value-2", b"value-9")
    path.write_bytes(damaged)
    assert [one.value for one in adopted(tmp_path / "outbox")] == [b"value-0", b"value-1"]


def test_a_disk_that_fills_up_in_the_middle_of_a_record_damages_no_other(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.append([record(0)])
    [path] = files(tmp_path / "outbox")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            outbox.append([record(1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    outbox.append([record(2)])
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / path.name).write_bytes(path.read_bytes())  # as a heir would find it
    assert adopted(copy) == [record(0), record(2)]


header_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=10)
without_nul = st.binary(max_size=30).map(lambda value: value.replace(b"\0", b""))
records = st.builds(
    Record,
    st.sampled_from(["fraud.decisions", "fraud.transactions"]),
    st.none() | without_nul,
    st.binary(max_size=200),
    st.lists(st.tuples(header_names, without_nul), max_size=5),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(records, min_size=1, max_size=10))
def test_records_come_back_as_they_were(written: list[Record]) -> None:
    # tmp_path would be one folder for all examples
    with TemporaryDirectory() as folder, TemporaryDirectory() as copy:
        outbox = Outbox(Path(folder))
        outbox.append(written)
        [path] = files(Path(folder))
        (Path(copy) / path.name).write_bytes(path.read_bytes())
        assert adopted(Path(copy)) == written
