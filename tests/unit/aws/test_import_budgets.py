"""What loading a function's handler may cost: a cold start pays for it before anything is decided.

Which libraries must not be among it is said in `tests/unit/test_imports.py`. Processor time is compared with a multiple
of what was measured (0.2 to 0.45 s on one core of an Intel Xeon); the number of modules does not depend on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.hosts import ROOT, lambda_functions

LOAD = """
import importlib, json, sys, time
importlib.import_module({module!r})
print(json.dumps([time.process_time(), len(sys.modules)]))
"""
BUDGETS = {
    "scorer": (1.5, 980),
    "feature-updater": (1.2, 800),
    "shadow-scorer": (1.2, 790),
    "train": (1.2, 790),
    "archiver": (0.8, 580),
    "drift": (0.8, 580),
    "promote": (0.8, 580),
}
"""Seconds of processor time, and modules."""


def test_every_function_has_a_budget() -> None:
    assert set(BUDGETS) == set(lambda_functions())


@pytest.mark.parametrize("name", [*BUDGETS])
def test_loading_stays_within_its_budget(name: str) -> None:
    module = lambda_functions()[name].handler.rpartition(".")[0]
    command = [sys.executable, "-c", LOAD.format(module=module)]
    runs = [
        json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        for _ in range(2)  # the first may have had to compile
    ]
    seconds, modules = min(runs)
    assert modules <= BUDGETS[name][1]
    assert seconds <= BUDGETS[name][0]
