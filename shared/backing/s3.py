"""SeaweedFS in its all-in-one form (`weed mini`), an S3 server with working conditional writes."""

from __future__ import annotations

import asyncio
import json
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.backing.ports import free_ports
from shared.backing.service import Command, EmbeddedService, NotReady
from shared.backing.settings import (
    BUCKETS,
    EMBEDDED_ACCESS_KEY,
    EMBEDDED_REGION,
    EMBEDDED_SECRET_KEY,
    LOOPBACK,
    BackingSettings,
)

if TYPE_CHECKING:
    from botocore.client import BaseClient

NAME: Final = "s3"

# The Go runtime collects harder near this limit: a third of the memory for a fifth more CPU. At 200 MiB and
# below the collector never rests.
_GO_MEMORY_LIMIT: Final = "300MiB"
_PROBE_KEY: Final = ".probe"


class SeaweedService(EmbeddedService):
    """One SeaweedFS process with the buckets `fraud-lake` and `mlflow`.

    Only the S3 port is an address. Master, volume, filer and admin servers inside the same process speak to
    each other on ports picked free at each start.
    """

    name = NAME
    title = "S3 (SeaweedFS)"
    port_setting = "FRAUD_S3_PORT"
    # weed would take a user's own AWS credentials for identities of this server, and S3_* for options.
    dropped_variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_BUCKET", "S3_EXTERNAL_URL")

    def __init__(self, settings: BackingSettings) -> None:
        super().__init__(settings.home, settings.s3_port)
        self._client: BaseClient | None = None

    @property
    def address(self) -> str:
        """Endpoint URL; path-style addressing."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The AWS variables every S3 client knows."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": EMBEDDED_ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": EMBEDDED_SECRET_KEY,
            "AWS_REGION": EMBEDDED_REGION,
            "AWS_DEFAULT_REGION": EMBEDDED_REGION,
        }

    @property
    def identity(self) -> str:
        """Binary, port and folder."""
        return f"{_binary()} port={self.port} dir={self.data} key={EMBEDDED_ACCESS_KEY}"

    async def command(self) -> Command:
        """Write the identities file and return the server's command line."""
        identities = self.data / "identities.json"
        identities.touch(mode=0o600)
        credentials = [{"accessKey": EMBEDDED_ACCESS_KEY, "secretKey": EMBEDDED_SECRET_KEY}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities.write_text(
            json.dumps({"identities": [{"name": "fraud", "credentials": credentials, "actions": actions}]})
        )
        volumes = self.data / "volumes"
        volumes.mkdir(exist_ok=True)
        # Every component wants an HTTP port and a gRPC port.
        inner = ("master", "volume", "filer", "admin")
        numbers = iter(free_ports(2 * len(inner) + 1))
        ports = [f"-{part}.port{kind}={next(numbers)}" for part in inner for kind in ("", ".grpc")]
        argv = (
            str(_binary()), "mini", f"-dir={volumes}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}",
            *ports,
            f"-s3.port={self.port}", f"-s3.port.grpc={next(numbers)}", f"-s3.config={identities}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false",
            # Relative: a socket's path may not be longer than some 107 bytes.
            "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock",
            f"-bucket={','.join(BUCKETS)}", "-volume.preStopSeconds=0",
        )  # fmt: skip
        return Command(argv, cwd=self.data, environment={"GOMEMLIMIT": _GO_MEMORY_LIMIT})

    async def probe(self) -> None:
        """List and put in every bucket."""
        if self._client is None:
            self._client = await asyncio.to_thread(s3_client, self.environment)
        await asyncio.to_thread(probe_s3, self._client)


def _binary() -> Path:
    """Return the `weed` binary that the package installs beside the interpreter."""
    return Path(sysconfig.get_path("scripts")) / "weed"


def s3_client(environment: Mapping[str, str]) -> BaseClient:
    """Return a boto3 client for a probe: one attempt, short timeouts, path-style.

    Args:
        environment: `AWS_ENDPOINT_URL` and, unless the process's own environment has them, credentials and region.
    """
    import boto3  # noqa: PLC0415 - half a second
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID", os.environ.get("AWS_ACCESS_KEY_ID")),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY", os.environ.get("AWS_SECRET_ACCESS_KEY")),
        region_name=environment.get("AWS_REGION", EMBEDDED_REGION),
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=1,
            read_timeout=5,
            s3={"addressing_style": "path"},
        ),
    )


def probe_s3(client: BaseClient) -> None:
    """Make missing buckets; in each, list, put an object and delete it.

    Raises:
        NotReady: Any of that failed.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for bucket in BUCKETS:
            if bucket not in present:
                client.create_bucket(Bucket=bucket)
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)
            client.put_object(Bucket=bucket, Key=_PROBE_KEY, Body=b"")
            client.delete_object(Bucket=bucket, Key=_PROBE_KEY)
    except (BotoCoreError, ClientError) as error:
        raise NotReady(str(error)) from error
