import asyncio

from confluent_kafka import Producer

from shared.backing.ports import free_ports
from shared.emulator.delivery.client_log import CLIENT_LOG


async def test_a_broker_that_is_away_does_not_fill_the_log(caplog) -> None:
    (port,) = free_ports(1)
    told: list[str] = []
    producer = Producer(
        {"bootstrap.servers": f"127.0.0.1:{port}", "error_cb": lambda error: told.append(error.name())},
        logger=CLIENT_LOG,
    )
    async with asyncio.timeout(10):
        while not told:
            await asyncio.to_thread(producer.poll, 0.1)
    CLIENT_LOG.warning("MAXPOLL [x]")
    assert "FAIL" not in caplog.text
    assert "MAXPOLL" in caplog.text
