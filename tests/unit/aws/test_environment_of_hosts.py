"""Every variable that a function reads is set by each of its hosts, or need not be, for a reason given here."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from tests.support.hosts import FUNCTIONS, ON_LAMBDA, ROOT, compose, knative_environment, lambda_functions

TUNING = "chosen once, the same wherever it runs"
NEEDS_NO_SETTING = {
    "AWS_ACCESS_KEY_ID": "a secret: Knative's Secret fraud-s3, Lambda's role",
    "AWS_SECRET_ACCESS_KEY": "as AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN": "as AWS_ACCESS_KEY_ID",
    "FRAUD_CONTROL_SHARE": "costs money: whoever wants a control group sets it",
    "FRAUD_MODEL_NAME": "the registered model's name is the project's own",
    "FRAUD_MODEL_ALIAS": "champion, by what the word means",
    "FRAUD_SHADOW_ALIAS": "challenger, by what the word means",
    "FRAUD_REGISTRY_WAIT_SECONDS": "of the first start alone",
    "JSON": "an option of the producer's command",
    "KAFKA_SECURITY_PROTOCOL": "plain inside a cluster's own network; managed clusters set it",
    "KAFKA_SASL_MECHANISM": "as KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_USERNAME": "as KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_PASSWORD": "as KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SSL_CA_LOCATION": "the system's own authorities, unless a company has others",
    **dict.fromkeys(
        (
            "FRAUD_BUFFER_EVENTS", "FRAUD_MODEL_POLL_SECONDS", "FRAUD_QUEUE_DEADLINE_MS", "FRAUD_QUEUE_LENGTH",
            "FRAUD_STORE_TIMEOUT_MS", "FRAUD_UPDATE_TIMEOUT_MS", "FRAUD_ARCHIVE_BYTES", "FRAUD_ARCHIVE_COMPACT_FILES",
            "FRAUD_ARCHIVE_ROWS", "FRAUD_ARCHIVE_SECONDS", "FRAUD_PARITY_DECISIONS", "FRAUD_PARITY_EVERY_MINUTES",
            "FRAUD_PARITY_SHARE", "FRAUD_LAKE_RETENTION_DAYS", "FRAUD_DRIFT_DEBOUNCE_HOURS", "FRAUD_DRIFT_HOURS",
            "FRAUD_DRIFT_LEAST_ROWS", "FRAUD_DRIFT_RECALL_DAYS", "FRAUD_DRIFT_RECALL_DAYS_BEFORE",
            "FRAUD_DRIFT_RECALL_LEAST_FRAUDS", "FRAUD_FALSE_ALARM_COST", "FRAUD_LABEL_HORIZON_DAYS",
            "FRAUD_PROMOTE_DAYS", "FRAUD_PROMOTE_LEAST_FRAUDS", "FRAUD_PROMOTE_MONEY_TOLERANCE",
            "FRAUD_PROMOTE_PRECISION_TOLERANCE", "FRAUD_ALERT_BUDGET", "FRAUD_BOOTSTRAP_DAYS",
            "FRAUD_BOOTSTRAP_FRAUD_SHARE", "FRAUD_BOOTSTRAP_LABEL_DELAY", "FRAUD_BOOTSTRAP_SEED",
            "FRAUD_BOOTSTRAP_SHARES", "FRAUD_BOOTSTRAP_TRANSACTIONS", "FRAUD_CHAMPION_TOLERANCE",
            "FRAUD_LEAST_MATURED_FRAUDS", "FRAUD_LEAST_MATURED_ROWS", "FRAUD_LEAST_PRECISION", "FRAUD_LEAST_RECALL",
            "FRAUD_SEARCH_TRIALS", "FRAUD_TEST_SHARE", "FRAUD_TRAINING_DEVICE", "FRAUD_TRAINING_LOOKBACK_DAYS",
            "FRAUD_TRAINING_PARITY_DECISIONS", "FRAUD_TRAINING_THREADS", "FRAUD_TRAIN_SHARE",
            "FRAUD_CHALLENGER_DAYS", "FRAUD_TRAINING_LEASE_SECONDS",
        ),
        TUNING,
    ),
}  # fmt: skip
"""Variables whose defaults nobody needs to change, with the reason."""

PRODUCERS_OWN = "FRAUD_PRODUCER_"
"""The producer's traffic is asked for by its arguments."""

SET_BY_THE_HOST_ITSELF = {
    ("template", "AWS_REGION"): "Lambda's runtime sets it and refuses to be told",
    ("template", "AWS_ENDPOINT_URL"): "without it, it is AWS itself",
}


@cache
def settings_of(function: str) -> frozenset[type[BaseSettings]]:
    """Settings classes in the modules that a function's own modules import, sooner or later; its commands aside."""
    folder = ROOT / "functions" / function.replace("-", "_")
    waiting = [path for path in folder.rglob("*.py") if path.name != "cli.py" and "backtest" not in path.parts]
    seen: set[Path] = set()
    found: set[type[BaseSettings]] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        source = path.read_text()
        if "BaseSettings" in source or "settings" in path.name:
            found |= _classes(path)
        waiting += [other for name in _imported(source) for other in _files(name)]
    return frozenset(found)


def _classes(path: Path) -> set[type[BaseSettings]]:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    return {
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, BaseSettings) and one.__module__ == module.__name__
    }


def _imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith(("shared.", "functions."))}


def _files(module: str) -> list[Path]:
    base = ROOT.joinpath(*module.split("."))
    return [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]


def variables_of(function: str) -> set[str]:
    names = {"FRAUD_LOG_LEVEL"}  # read by shared.telemetry.logs, which every function configures
    for settings in settings_of(function):
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            names.add(str(field.validation_alias or field.alias or prefix + name).upper())
    return names


def set_by(host: str, function: str) -> set[str]:
    if host == "knative":
        return knative_environment(function)
    if host == "compose":
        return set(compose()["services"][function]["environment"])
    return set(lambda_functions()[function].environment)


HOSTS = [(host, name) for host in ("knative", "compose") for name in FUNCTIONS] + [("template", n) for n in ON_LAMBDA]


@pytest.mark.parametrize(("host", "function"), HOSTS)
def test_every_variable_that_a_function_reads_is_set(host: str, function: str) -> None:
    unset = {
        name
        for name in variables_of(function) - set_by(host, function)
        if name not in NEEDS_NO_SETTING
        and (host, name) not in SET_BY_THE_HOST_ITSELF
        and not name.startswith(PRODUCERS_OWN)
    }
    assert unset == set()


@pytest.mark.parametrize(("host", "function"), HOSTS)
def test_what_a_host_sets_of_ours_is_read_by_somebody(host: str, function: str) -> None:
    read = set().union(*map(variables_of, FUNCTIONS)) | {"FUNCTION_TARGET", "FUNCTION_SOURCE", "PORT"}
    ours = {
        name for name in set_by(host, function) if name.startswith(("FRAUD_", "KAFKA_", "REDIS_", "SCORER_", "MLFLOW_"))
    }
    assert ours - read - {name for name in NEEDS_NO_SETTING if name.startswith("KAFKA_")} == set()


def test_the_reasons_are_of_variables_that_are_read() -> None:
    read = set().union(*map(variables_of, FUNCTIONS))
    unread = {name for name in NEEDS_NO_SETTING if not name.startswith("KAFKA_")} - read
    assert unread == set()


def test_settings_are_found_at_all() -> None:
    assert {one.__name__ for one in settings_of("scorer")} >= {"ScorerSettings"}
    assert {one.__name__ for one in settings_of("drift")} >= {"DriftSettings", "LakeSettings"}
    assert {"REDIS_URL", "FRAUD_STATE_DIR", "FRAUD_MODEL_ALIAS"} <= variables_of("scorer")
    assert "SCORER_URL" in variables_of("producer")
