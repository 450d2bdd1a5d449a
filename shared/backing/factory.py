"""Which services a setting asks for: embedded ones, and those somebody else runs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping

from shared.backing import kafka, mlflow, redis, s3
from shared.backing.external import ExternalService
from shared.backing.kafka_client import KafkaProbe
from shared.backing.service import BackingService, NotReady
from shared.backing.settings import BackingSettings


def build_services(settings: BackingSettings) -> tuple[BackingService, ...]:
    """Return the four services in the order they are stopped in: an address in the settings replaces one."""
    object_store = _s3(settings)
    return (
        _kafka(settings),
        _redis(settings),
        object_store,
        _mlflow(settings, object_store.environment),
    )


def _kafka(settings: BackingSettings) -> BackingService:
    address = settings.kafka_bootstrap_servers
    if address is None:
        return kafka.KafkaService(settings)
    probe = KafkaProbe(address)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": address}
    return ExternalService(kafka.NAME, address, environment, functools.partial(asyncio.to_thread, probe.probe))


def _redis(settings: BackingSettings) -> BackingService:
    url = settings.redis_url
    if url is None:
        return redis.ValkeyService(settings)
    return ExternalService(redis.NAME, url, {"REDIS_URL": url}, functools.partial(redis.probe_redis, url))


def _mlflow(settings: BackingSettings, s3_environment: Mapping[str, str]) -> BackingService:
    uri = settings.mlflow_tracking_uri
    if uri is None:
        return mlflow.MlflowService(settings, s3_environment)
    probe = functools.partial(mlflow.probe_mlflow, uri)
    return ExternalService(mlflow.NAME, uri, {"MLFLOW_TRACKING_URI": uri}, probe)


def _s3(settings: BackingSettings) -> BackingService:
    url = settings.aws_endpoint_url
    if url is None:
        return s3.SeaweedService(settings)
    environment = {"AWS_ENDPOINT_URL": url, "AWS_REGION": settings.aws_region}
    if settings.aws_access_key_id is not None and settings.aws_secret_access_key is not None:
        environment["AWS_ACCESS_KEY_ID"] = settings.aws_access_key_id.get_secret_value()
        environment["AWS_SECRET_ACCESS_KEY"] = settings.aws_secret_access_key.get_secret_value()

    async def probe() -> None:
        try:
            client = await asyncio.to_thread(s3.s3_client, environment)
        except ValueError as error:  # not an address at all
            raise NotReady(str(error)) from error
        await asyncio.to_thread(s3.probe_s3, client)

    return ExternalService(s3.NAME, url, environment, probe)
