"""The pump's Runtime API against the official runtime interface client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from localstack.pump.invokers import FunctionError, InProcess, RuntimeInterface
from localstack.pump.runtime_api import RuntimeApi
from tests.support.hosts import ROOT

HANDLER = "tests.unit.aws.failing_function.handler"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[RuntimeInterface]:
    with RuntimeInterface(HANDLER, {"SETTING": "é"}, ROOT, 20, tmp_path / "log") as interface:
        yield interface


def test_payloads_and_results_pass_through(runtime: RuntimeInterface) -> None:
    first = runtime.invoke({"text": "日本 \u0000", "number": 1.5})
    assert first["event"] == {"text": "日本 \u0000", "number": 1.5}
    assert first["setting"] == "é"
    assert runtime.invoke({})["request"] != first["request"]


def test_what_the_handler_raises_is_told_and_the_next_one_is_answered(runtime: RuntimeInterface) -> None:
    with pytest.raises(FunctionError, match="ValueError: no good") as raised:
        runtime.invoke({"raise": "no good"})
    assert raised.value.kind == "ValueError"
    assert runtime.invoke({"a": 1})["event"] == {"a": 1}


def test_a_process_that_ends_is_told(runtime: RuntimeInterface) -> None:
    with pytest.raises(FunctionError, match="ended with status 7"):
        runtime.invoke({"exit": 7})


def test_a_handler_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    interface = RuntimeInterface("tests.unit.aws.nowhere.handler", {}, ROOT, 20, tmp_path / "log")
    with interface, pytest.raises(FunctionError, match="nowhere"):
        interface.invoke({})


def test_the_time_limit_holds(tmp_path: Path) -> None:
    with RuntimeInterface("time.sleep", {}, ROOT, 1, tmp_path / "log") as interface, pytest.raises(FunctionError):
        interface.invoke({})


def test_paths_that_the_runtime_api_does_not_have_are_not_found() -> None:
    api = RuntimeApi()
    try:
        answers = [
            urllib3.request("GET", f"http://{api.address}/2018-06-01/runtime/nothing"),
            urllib3.request("POST", f"http://{api.address}/2018-06-01/runtime/invocation/unknown/response", body=b"{}"),
        ]
        assert [answer.status for answer in answers] == [404, 404]
    finally:
        api.close()


def test_in_process_a_result_that_is_no_json_is_the_functions_error() -> None:
    invoker = InProcess("operator.itemgetter")  # takes its arguments, and gives back what JSON cannot hold
    try:
        with pytest.raises(FunctionError):
            invoker.invoke({})
    finally:
        invoker.close()
