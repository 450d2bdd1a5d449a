"""The training process, run as a process: what it says, and that it ends with its parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "functions.train.job"]
NOWHERE = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


def test_a_registry_that_stays_away_is_said_on_standard_output_alone():
    environment = {**NOWHERE, "FRAUD_REGISTRY_WAIT_SECONDS": "0.2"}
    with subprocess.Popen(
        [*COMMAND, '{"bootstrap": true}'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        output = process.stdout.read()
        log = process.stderr.read().decode()
        assert process.wait() == 0, log
    outcome = json.loads(output)
    assert outcome["kind"] == "missing"
    assert "did not answer within 0.2 s" in outcome["reason"]
    for line in log.splitlines():
        assert json.loads(line)["service"] == "train"


def test_the_process_ends_when_its_parent_does():
    program = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE);"
        "print(child.pid, flush=True);"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND, '{"bootstrap": true}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**NOWHERE, "FRAUD_REGISTRY_WAIT_SECONDS": "60"},
    )
    child = int(parent.stdout.readline())
    try:
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 20
        while running(child):
            assert time.monotonic() < deadline, "the training outlived its parent"
            time.sleep(0.05)
    finally:
        parent.stdout.close()


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("module", ["functions.train.main", "functions.train.job"])
def test_waiting_for_work_loads_none_of_the_training_libraries(module):
    program = (
        f"import sys, {module};"
        "heavy = {'xgboost', 'sklearn', 'pandas', 'mlflow', 'pyarrow', 'duckdb', 'matplotlib', 'onnx'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
