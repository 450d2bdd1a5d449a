"""The log of the Kafka clients, without what a broker's restart writes into it hundreds of times."""

import logging


def _no_connection_attempt(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("FAIL ")


CLIENT_LOG = logging.getLogger("shared.emulator.delivery.kafka")
"""For `logger=` of clients. A failed connection is told once per outage instead, by the clients' error callback."""

CLIENT_LOG.addFilter(_no_connection_attempt)
