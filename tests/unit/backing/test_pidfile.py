import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from shared.backing.pidfile import PidFile


def test_a_record_finds_its_process(tmp_path: Path) -> None:
    PidFile.of(os.getpid(), "this test").write(tmp_path / "run" / "x.pid")
    record = PidFile.read(tmp_path / "run" / "x.pid")
    assert record is not None
    assert record.identity == "this test"
    process = record.process()
    assert process is not None
    assert process.pid == os.getpid()


def test_another_process_of_the_same_id_is_not_it() -> None:
    record = PidFile.of(os.getpid(), "this test")
    assert replace(record, started=record.started - 60).process() is None


def test_an_ended_process_is_not_found() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = PidFile.of(child.pid, "child")
    assert record.process() is not None
    child.kill()
    child.communicate()
    assert record.process() is None


def test_no_file_and_a_cut_file_are_no_record(tmp_path: Path) -> None:
    assert PidFile.read(tmp_path / "none.pid") is None
    cut = tmp_path / "cut.pid"
    cut.write_text('{"pid": 12, "sta')
    assert PidFile.read(cut) is None
