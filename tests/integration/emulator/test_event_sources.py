"""Event sources of the manifests reach their services, through crashes of either side."""

import asyncio
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import aiohttp
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client.parser import text_string_to_metric_families

from shared.emulator.emulator import Emulator
from tests.support.emulator.manifests import service
from tests.support.emulator.running import running, until

SINK = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "tiny"}, "uri": "/events"}


def kafka_source(topic: str) -> dict[str, Any]:
    return {
        "apiVersion": "sources.knative.dev/v1beta1",
        "kind": "KafkaSource",
        "metadata": {"name": "events", "namespace": "fraud"},
        "spec": {
            "bootstrapServers": ["kafka.fraud.svc.cluster.local:9092"],
            "topics": [topic],
            "consumerGroup": f"group-{topic}",
            "initialOffset": "earliest",
            "ordering": "unordered",
            "delivery": {"retry": 30, "backoffPolicy": "linear", "backoffDelay": "PT0.1S", "timeout": "PT10S"},
            "sink": SINK,
        },
    }


def produce(broker: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for number in range(count):
        producer.produce(topic, key=str(number), value=b"{}")
    assert producer.flush(20) == 0


async def delivered(emulator: Emulator) -> float:
    url = emulator.admin_url + "/services/tiny/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        families = text_string_to_metric_families(await answer.text())
    samples = (sample for family in families for sample in family.samples)
    return sum(one.value for one in samples if one.name == "tiny_answered_total" and one.labels["path"] == "/events")


async def until_delivered(emulator: Emulator, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if await delivered(emulator) >= count:
                return
            await asyncio.sleep(0.2)


async def test_records_reach_a_service_at_zero_and_go_on_after_the_delivery_was_killed(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    topic = f"emulator-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 4)])[topic].result(20)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}
    manifests = (service(min_scale="0"), kafka_source(topic))

    def lag() -> int:
        told = emulator.status()["delivery"]
        return int(told.get("lag", -1)) if told.get("ready") and "unreachable" not in told else -1

    async with running(tmp_path, *manifests, environment=environment) as emulator:
        assert emulator.services["tiny"].replicas == ()
        produce(kafka_bootstrap, topic, 200)
        await until_delivered(emulator, 200)
        await until(lambda: lag() == 0, 60)
        assert await delivered(emulator) == 200

        killed = emulator.status()["delivery"]["replicas"][0]["pid"]
        os.kill(killed, signal.SIGKILL)
        produce(kafka_bootstrap, topic, 100)
        await until(lambda: emulator.status()["delivery"]["restarts"] == 1, 20)
        await until_delivered(emulator, 300)
        await until(lambda: lag() == 0, 60)
        assert emulator.status()["delivery"]["replicas"][0]["pid"] != killed
