"""Small objects beside the tables: whole reads and writes, and writes that happen only if nobody else wrote."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.lake.errors import LakeAway
from shared.lake.settings import LakeSettings

P = ParamSpec("P")
T = TypeVar("T")
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
# 409: another conditional write of the same key is under way (S3's documentation of PutObject).
_BEATEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class Beaten(Exception):
    """A conditional write did not happen: somebody else wrote first."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was read.

    Attributes:
        body: Its content.
        etag: Names this content in conditional writes.
        age: Time since it was written, by the clock of the storage alone; whole seconds.
    """

    body: bytes
    etag: str
    age: timedelta


def _translated(call: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(call)
    def translating(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return call(*arguments, **named)
        except (BotoCoreError, ClientError) as error:
            raise LakeAway(f"the lake's storage does not answer: {error}") from error

    return translating


class Objects:
    """Objects under one prefix of the lake; keys are relative to it.

    Every method raises `LakeAway` when the storage is away or refuses us. Safe to use from several threads.

    Args:
        settings: Where the lake is.
        folder: The prefix, without slashes at its ends; it starts with an underscore, which table readers pass over.
    """

    def __init__(self, settings: LakeSettings, folder: str) -> None:
        self._bucket, prefix = settings.bucket_and_prefix()
        self._prefix = f"{prefix}{folder}/"
        access, secret, token = settings.keys() or (None, None, None)
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.aws_endpoint_url,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            aws_session_token=token,
            region_name=settings.aws_region,
            config=Config(
                retries={"total_max_attempts": 3, "mode": "standard"},
                connect_timeout=2,
                read_timeout=10,
                s3={"addressing_style": "path" if settings.aws_endpoint_url else "auto"},
            ),
        )

    @_translated
    def get(self, key: str) -> Stored | None:
        """Read an object; None when there is none."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        now: datetime = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Stored(answer["Body"].read(), answer["ETag"], now - answer["LastModified"])

    @_translated
    def put(self, key: str, body: bytes) -> None:
        """Write an object, whatever was there."""
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body)

    @_translated
    def put_if(self, key: str, body: bytes, etag: str | None) -> str:
        """Write an object if its content is still the one of `etag`, or if there is none yet (None).

        Returns:
            The new content's etag.

        Raises:
            Beaten: It is another by now. After a lost answer that may be our own write.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            answer = self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body, **condition)
        except ClientError as error:
            if _code(error) in _BEATEN or (etag is not None and _code(error) in _MISSING):
                raise Beaten(key) from error
            raise
        return str(answer["ETag"])

    @_translated
    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @_translated
    def folders(self, prefix: str) -> list[str]:
        """Names between `prefix` (empty, or ending in a slash) and the next slash, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, Delimiter="/"
        )
        return sorted(
            found["Prefix"].removeprefix(self._prefix + prefix).rstrip("/")
            for page in pages
            for found in page.get("CommonPrefixes", ())
        )

    @_translated
    def keys(self, prefix: str, after: str = "") -> list[str]:
        """Keys that start with `prefix` and sort behind `after`, sorted."""
        start = {"StartAfter": self._prefix + after} if after else {}
        pages: Iterator[Any] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, **start
        )
        return sorted(found["Key"].removeprefix(self._prefix) for page in pages for found in page.get("Contents", ()))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
