"""The MLflow server as one process: SQLite for runs and registry, artefacts passed on to the S3 server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from shared.backing.service import Command, EmbeddedService, NotReady
from shared.backing.settings import LOOPBACK, BackingSettings

NAME: Final = "mlflow"


class MlflowService(EmbeddedService):
    """MLflow's own ASGI application under uvicorn, with its job runner off.

    `mlflow server` starts 15 processes and takes 2.5 GB; this is one process and a tenth. The variables
    `_MLFLOW_SERVER_*` are what that command sets for its workers; they are private to MLflow, which is why
    its version is pinned.
    """

    name = NAME
    title = "MLflow"
    port_setting = "FRAUD_MLFLOW_PORT"
    # A tracking address in the user's shell would make the server a client of another one.
    dropped_variables = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "AWS_PROFILE", "AWS_SESSION_TOKEN")

    def __init__(self, settings: BackingSettings, s3_environment: Mapping[str, str]) -> None:
        super().__init__(settings.home, settings.mlflow_port)
        self._s3_environment = s3_environment

    @property
    def address(self) -> str:
        """Tracking and registry URI."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """`MLFLOW_TRACKING_URI`."""
        return {"MLFLOW_TRACKING_URI": self.address}

    @property
    def identity(self) -> str:
        """Version, port, database and artefact server."""
        s3 = self._s3_environment["AWS_ENDPOINT_URL"]
        return f"mlflow {version('mlflow')} {sys.executable} port={self.port} dir={self.data} s3={s3}"

    async def command(self) -> Command:
        """Return the server's command line and settings."""
        database = f"sqlite:///{self.data / 'mlflow.db'}"
        return Command(
            (sys.executable, "-m", "shared.backing.mlflow_server", LOOPBACK, str(self.port), database),
            cwd=self.data,
            environment={
                **self._s3_environment,
                "MLFLOW_S3_ENDPOINT_URL": self._s3_environment["AWS_ENDPOINT_URL"],
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "1",
                "_MLFLOW_SERVER_FILE_STORE": database,
                "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "s3://mlflow/artifacts",
                "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
                "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            },
        )

    async def probe(self) -> None:
        """Ask for /health, then search the registry, which needs the database's schema."""
        await probe_mlflow(self.address)


async def probe_mlflow(uri: str) -> None:
    """Ask the MLflow server at `uri` for /health and one registered model.

    Raises:
        NotReady: No answer within five seconds, or another status than 200.
    """
    import aiohttp  # noqa: PLC0415

    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            for path in ("/health", "/api/2.0/mlflow/registered-models/search?max_results=1"):
                async with session.get(uri.rstrip("/") + path) as response:
                    if response.status != 200:
                        raise NotReady(f"{path} answered {response.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotReady(str(error) or type(error).__name__) from error
