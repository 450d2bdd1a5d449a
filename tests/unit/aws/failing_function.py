"""A Lambda function that does what its event says."""

from __future__ import annotations

import os
import time
from typing import Any


def handler(event: dict[str, Any], context: Any) -> Any:
    if "raise" in event:
        raise ValueError(event["raise"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "exit" in event:
        os._exit(event["exit"])
    return {"event": event, "request": context.aws_request_id, "setting": os.environ.get("SETTING")}
