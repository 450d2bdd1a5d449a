import json
import subprocess
import sys
from pathlib import Path

HEAVY = {"yaml", "pydantic", "aiohttp", "rich", "typer", "psutil", "prometheus_client", "numpy", "cronsim"}


def test_replica_imports_nothing_that_only_the_emulator_needs() -> None:
    code = "import json, sys, shared.emulator.replica; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=Path(__file__).parents[3]
    ).stdout
    loaded = set(json.loads(output))
    assert {"uvicorn", "uvloop", "httptools", "functions_framework"} <= loaded
    assert not HEAVY & loaded
