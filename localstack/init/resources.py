"""What the functions expect of AWS, made at an endpoint: buckets, secrets, parameters, and the functions themselves.

LocalStack runs this when it is ready (its folder `/etc/localstack/init/ready.d`); against any other endpoint it is run
as `AWS_ENDPOINT_URL=http://127.0.0.1:4566 python localstack/init/resources.py`. It changes nothing the second time. It
imports nothing of the project, for LocalStack has nothing of it.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import boto3
from botocore.exceptions import ClientError

_log = logging.getLogger("localstack.init")

BUCKETS = ("fraud-lake", "mlflow")
SECRETS = {
    "fraud/feature-store": {"url": os.environ.get("REDIS_URL", "redis://redis:6379/0")},
    "fraud/kafka": {"username": "fraud", "password": os.environ.get("KAFKA_SASL_PASSWORD", "unused-without-sasl")},
}
PARAMETERS = {
    "/fraud/kafka-bootstrap-servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
    "/fraud/mlflow-tracking-uri": os.environ.get("MLFLOW_TRACKING_URI", "http://mlflow:5000"),
}
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer", "archiver", "drift", "promote", "train")
_THERE_ALREADY = {"BucketAlreadyOwnedByYou", "ResourceExistsException", "ResourceConflictException"}


def _client(service: str) -> Any:
    # LocalStack's own hooks find it at its gateway; credentials are not looked at there.
    return boto3.client(
        service,
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL", "http://localhost.localstack.cloud:4566"),
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
    )


def _make(what: str, call: Any, **arguments: Any) -> None:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _THERE_ALREADY:
            raise
    _log.info("%s is there", what)


def make_resources() -> None:
    """Make buckets, secrets and parameters."""
    s3, secrets, parameters = _client("s3"), _client("secretsmanager"), _client("ssm")
    for bucket in BUCKETS:
        _make(f"bucket {bucket}", s3.create_bucket, Bucket=bucket)
    for name, document in SECRETS.items():
        _make(f"secret {name}", secrets.create_secret, Name=name, SecretString=json.dumps(document))
    for name, value in PARAMETERS.items():
        _make(
            f"parameter {name}", parameters.put_parameter, Name=name, Value=value, Type="SecureString", Overwrite=True
        )


def deploy_functions(repository: str, tag: str, role: str) -> None:
    """Create the functions from their Lambda images, with what the template sets for all of them.

    Args:
        repository: What the images' names begin with, such as ``dev.local/fraud``.
        tag: Their tag.
        role: ARN of the role they run as.
    """
    functions = _client("lambda")
    variables = {
        "AWS_ENDPOINT_URL": os.environ.get("FUNCTION_ENDPOINT_URL", "http://s3:9000"),
        "FRAUD_LAKE_URI": "s3://fraud-lake",
        "FRAUD_LOG_LEVEL": "INFO",
        "FRAUD_STATE_DIR": "/tmp/fraud",  # noqa: S108 - the one writable folder of a Lambda function
        "KAFKA_BOOTSTRAP_SERVERS": PARAMETERS["/fraud/kafka-bootstrap-servers"],
        "MLFLOW_TRACKING_URI": PARAMETERS["/fraud/mlflow-tracking-uri"],
        "REDIS_URL": SECRETS["fraud/feature-store"]["url"],
    }
    for name in FUNCTIONS:
        _make(
            f"function {name}",
            functions.create_function,
            FunctionName=f"fraud-{name}",
            PackageType="Image",
            Code={"ImageUri": f"{repository}-{name}-lambda:{tag}"},
            Role=role,
            Timeout=60,
            MemorySize=1769,
            Environment={"Variables": variables},
        )


def main() -> None:
    """Make everything; functions only where images can be run."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    make_resources()
    if os.environ.get("LOCALSTACK_AUTH_TOKEN") or os.environ.get("DEPLOY_FUNCTIONS") == "1":
        role = os.environ.get("FUNCTION_ROLE", "arn:aws:iam::000000000000:role/fraud")
        deploy_functions(os.environ.get("IMAGE_REPOSITORY", "dev.local/fraud"), os.environ.get("IMAGE_TAG", "1"), role)
    else:
        _log.info("no functions are deployed: the free LocalStack runs no container images; the pump runs them")


if __name__ == "__main__":
    main()
