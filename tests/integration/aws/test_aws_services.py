"""What the functions and the pump want of AWS' services, against moto's server: S3, Secrets Manager, SSM."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from localstack.pump.__main__ import template_of
from shared.backing.ports import free_ports
from shared.lake.lake import Lake
from shared.lake.settings import LakeSettings
from tests.support.hosts import ROOT, lambda_functions
from tests.support.lake.writing import write
from tests.support.servers import FunctionProcess

Aws = Mapping[str, str]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "REDIS_URL": "redis://store.example:6379/3",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "MLFLOW_TRACKING_URI": "http://mlflow.example:5000",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def run_hook(**more: str) -> str:
    """Run LocalStack's init hook as LocalStack does: a file of its own, at the endpoint of the environment."""
    hook = ROOT / "localstack" / "init" / "resources.py"
    run = subprocess.run(
        [sys.executable, str(hook)], env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


@pytest.mark.usefixtures("aws")
def test_the_hook_makes_what_the_functions_expect_however_often_it_runs() -> None:
    for _ in range(2):
        assert "no functions are deployed" in run_hook()
    assert {one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]} >= {"fraud-lake", "mlflow"}


def test_the_template_finds_its_secrets_and_parameters(aws: Aws) -> None:
    run_hook()
    given = {
        "LakeBucket": "fraud-lake", "FeatureStoreSecretArn": "fraud/feature-store", "KafkaSecretArn": "fraud/kafka",
    }  # fmt: skip
    template = template_of(ROOT / "template.yaml", given)
    environment = template.environment(lambda_functions()["scorer"])
    assert environment["REDIS_URL"] == aws["REDIS_URL"]
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == aws["KAFKA_BOOTSTRAP_SERVERS"]
    assert environment["MLFLOW_TRACKING_URI"] == aws["MLFLOW_TRACKING_URI"]
    assert environment["KAFKA_SASL_USERNAME"] == "fraud"
    assert template.environment(lambda_functions()["archiver"])["FRAUD_LAKE_URI"] == "s3://fraud-lake/lake"


@pytest.mark.usefixtures("aws")
def test_the_hook_deploys_every_function_where_images_run() -> None:
    role = boto3.client("iam").create_role(RoleName="fraud", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/fraud"
    for _ in range(2):
        run_hook(DEPLOY_FUNCTIONS="1", FUNCTION_ROLE=role, IMAGE_REPOSITORY=repository)
    deployed: list[dict[str, Any]] = boto3.client("lambda").list_functions()["Functions"]
    assert {one["FunctionName"] for one in deployed} == {f"fraud-{name}" for name in lambda_functions()}
    assert {one["PackageType"] for one in deployed} == {"Image"}


@pytest.mark.usefixtures("aws")
def test_the_lake_lives_on_s3() -> None:
    boto3.client("s3").create_bucket(Bucket="fraud-lake")
    settings = LakeSettings(fraud_lake_uri="s3://fraud-lake/on-moto")
    for name in ("a", "b"):
        times = {key: [1_768_480_245_250] for key in ("event_time_ms", "label_time_ms")}
        write(settings, "labels", {**times, "transaction_id": [name], "card_id": ["c"]})
    lake = Lake.open(settings)
    assert sorted(lake.read("labels")["transaction_id"].to_pylist()) == ["a", "b"]
    assert lake.version("labels") == 1


@pytest.mark.usefixtures("aws")
def test_the_pump_plays_the_template_with_what_the_endpoint_knows(tmp_path: Path) -> None:
    run_hook()
    [port] = free_ports(1)
    command = [sys.executable, "-m", "localstack.pump", "--function", "scorer", "--port", str(port)]
    for name in ("LakeBucket=fraud-lake", "FeatureStoreSecretArn=fraud/feature-store", "KafkaSecretArn=fraud/kafka"):
        command += ["--parameter", name]
    command += ["--set", f"FRAUD_STATE_DIR={tmp_path / 'state'}", "--set", "FRAUD_LOG_LEVEL=ERROR"]
    with FunctionProcess(tmp_path, command, port, dict(os.environ)) as pump:
        pump.wait("/health/liveness")
        refused = pump.post("/v1/score", b"{}")
        assert pump.process is not None
        pump.process.terminate()
        assert pump.process.wait(20) == 0
    assert refused.status == 422


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("secret", "reason"), [("fraud/kafka", "LakeBucket has no value"), ("nowhere", "can't find the specified secret")]
)
def test_the_pump_says_what_is_missing(secret: str, reason: str) -> None:
    run_hook()
    command = [
        sys.executable,
        "-m",
        "localstack.pump",
        "--function",
        "archiver",
        "--parameter",
        f"KafkaSecretArn={secret}",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert reason in run.stderr
    assert "Traceback" not in run.stderr
