"""Liveness and readiness: cheap, and free of other services' state."""

from collections.abc import Callable

from functions.scorer.handler import Reply, json_reply, problem_reply
from shared.contracts import problems


class Health:
    """Answers health probes.

    Args:
        has_model: Whether there is a model to answer with; the only thing that the scorer cannot do without.
    """

    def __init__(self, has_model: Callable[[], bool]) -> None:
        self._has_model = has_model

    def liveness(self) -> Reply:
        """Answer 200: the event loop runs."""
        return json_reply({"status": "alive"})

    def readiness(self) -> Reply:
        """Answer 200 once there is a model, else 503."""
        if self._has_model():
            return json_reply({"status": "ready"})
        return problem_reply(problems.problem(503, "no model is available yet"), retry=True)
