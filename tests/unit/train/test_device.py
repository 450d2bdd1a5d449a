import logging
from pathlib import Path

import pytest

from functions.train.device import choose_device, device_answers
from functions.train.errors import TrainingRefused


def never():
    raise AssertionError("not asked for")


@pytest.mark.parametrize(
    ("wanted", "build", "answers", "device", "said"),
    [
        ("cpu", never, never, "cpu", "as set"),
        ("auto", lambda: False, never, "cpu", "knows no GPU"),
        ("auto", lambda: True, lambda: False, "cpu", "no GPU answers"),
        ("auto", lambda: True, lambda: True, "cuda", "on the GPU"),
        ("cuda", lambda: True, lambda: True, "cuda", "on the GPU"),
    ],
)
def test_the_gpu_is_taken_when_build_and_device_are_there_and_it_is_said(wanted, build, answers, device, said, caplog):
    with caplog.at_level(logging.INFO, "functions.train"):
        assert choose_device(wanted, build=build, answers=answers) == device
    assert said in caplog.text


def test_a_gpu_that_is_demanded_and_missing_refuses_the_training():
    with pytest.raises(TrainingRefused, match="no GPU answers"):
        choose_device("cuda", build=lambda: True, answers=lambda: False)


def test_where_there_is_no_gpu_none_answers():
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU here")
    assert device_answers() is False
