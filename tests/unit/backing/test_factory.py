from pathlib import Path
from typing import Any

import pytest

from shared.backing.backing import Backing
from shared.backing.factory import build_services
from tests.support.backing import backing_settings

ADDRESSES = {
    "kafka_bootstrap_servers": "broker.example:9092",
    "redis_url": "redis://cache.example:6379/0",
    "aws_endpoint_url": "http://s3.example:9000",
    "mlflow_tracking_uri": "http://mlflow.example:5000",
}


def test_services_come_in_the_order_they_are_stopped_in(tmp_path: Path) -> None:
    services = build_services(backing_settings(tmp_path))
    assert [service.name for service in services] == ["kafka", "redis", "s3", "mlflow"]
    assert not any(service.external for service in services)


@pytest.mark.parametrize(("setting", "address"), ADDRESSES.items())
def test_an_address_replaces_exactly_its_service(tmp_path: Path, setting: str, address: str) -> None:
    services = build_services(backing_settings(tmp_path, **{setting: address}))
    replaced = [service for service in services if service.external]
    assert [service.address for service in replaced] == [address]
    assert address in replaced[0].environment.values()


def test_clients_are_told_every_address(tmp_path: Path) -> None:
    environment = Backing(backing_settings(tmp_path)).environment
    assert environment.keys() >= {
        "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION", "MLFLOW_TRACKING_URI",
    }  # fmt: skip
    assert "127.0.0.1" in environment["KAFKA_BOOTSTRAP_SERVERS"]


def test_the_store_is_reached_by_its_socket_file_where_a_path_can_be_that_long(tmp_path: Path) -> None:
    short, long = tmp_path / "h", tmp_path / ("h" * 100)
    assert Backing(backing_settings(short)).environment["REDIS_URL"] == f"unix://{short}/run/redis.sock?db=0"
    assert Backing(backing_settings(long)).environment["REDIS_URL"].startswith("redis://127.0.0.1:")


async def test_a_users_own_credentials_never_reach_the_embedded_server(tmp_path: Path) -> None:
    secrets: dict[str, Any] = {"aws_access_key_id": "AKIAREAL", "aws_secret_access_key": "very secret"}
    services = {service.name: service for service in build_services(backing_settings(tmp_path, **secrets))}
    assert "AKIAREAL" not in services["s3"].environment.values()
    s3: Any = services["s3"]
    s3.data.mkdir(parents=True)
    await s3.command()
    assert "AKIAREAL" not in (tmp_path / "s3" / "identities.json").read_text()
    assert "AWS_ACCESS_KEY_ID" in s3.dropped_variables


def test_credentials_go_to_the_service_they_are_for(tmp_path: Path) -> None:
    settings = backing_settings(
        tmp_path,
        aws_endpoint_url="http://s3.example:9000",
        aws_access_key_id="AKIAREAL",
        aws_secret_access_key="very secret",
    )
    environment = Backing(settings).environment
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("AKIAREAL", "very secret")


async def test_telemetry_is_off_and_everything_is_on_loopback(tmp_path: Path) -> None:
    services: dict[str, Any] = {service.name: service for service in build_services(backing_settings(tmp_path))}
    for name in ("redis", "s3", "mlflow"):
        services[name].data.mkdir(parents=True)
    s3 = await services["s3"].command()
    assert {"-master.telemetry=false", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"} <= set(s3.argv)
    mlflow = await services["mlflow"].command()
    assert mlflow.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert mlflow.argv[mlflow.argv.index("shared.backing.mlflow_server") + 1] == "127.0.0.1"
    valkey = await services["redis"].command()
    assert valkey.argv[valkey.argv.index("--bind") + 1] == "127.0.0.1"
    assert valkey.argv[valkey.argv.index("--maxmemory-policy") + 1] == "noeviction"
