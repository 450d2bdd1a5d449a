"""Logs as JSON lines on standard error, each with the service and the trace it belongs to."""

import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from shared.contracts.card_numbers import mask_card_numbers
from shared.telemetry import tracing


class _Formatter(OrjsonFormatter):
    def __init__(self, service: str, replica: str) -> None:
        super().__init__("%(message)s", reserved_attrs=[*RESERVED_ATTRS, "color_message", "websocket"])
        self._identity = {"service": service, "replica": replica}

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data.update(self._identity)
        trace = tracing.current()
        if trace is not None:
            log_data["trace_id"] = trace.trace_id
        super().add_fields(log_data, record, message_dict)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        # Whoever sends an event chooses its id, and a library's exception may quote its data.
        return {name: mask_card_numbers(value) if isinstance(value, str) else value for name, value in log_data.items()}


def configure(service: str, level: str | None = None) -> None:
    """Send all logging of this process to standard error as JSON lines, card numbers masked.

    Args:
        service: Name of the function.
        level: Lowest level that is written; the default is ``FRAUD_LOG_LEVEL``, or INFO.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(service, os.environ.get("HOSTNAME") or str(os.getpid())))
    logging.basicConfig(handlers=[handler], level=level or os.environ.get("FRAUD_LOG_LEVEL", "INFO"), force=True)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # one line per request belongs to metrics
