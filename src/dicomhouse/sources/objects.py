"""Objects of a store: `s3://`, `gs://` and `az://`, listed and read in ranges by obstore.

Credentials come in the library's own ways alone: its environment variables, or the machine's role.
A key with an empty segment, `.` or `..` obstore cannot name: of S3, boto3 lists and reads those.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zlib import crc32

from dicomhouse.errors import UsageError
from dicomhouse.filesystem import Files, microseconds, printable
from dicomhouse.sources.opening import Bytes, Facts

try:
    import obstore
    from obstore.exceptions import (
        BaseError,
        GenericError,
        InvalidPathError,
        PermissionDeniedError,
        PreconditionError,
        UnauthenticatedError,
    )
    from obstore.store import from_url
except ModuleNotFoundError as error:
    raise UsageError(
        f"{error.name} is not installed: pip install 'dicomhouse[s3]' brings it."
    ) from None

_HEAD_BYTES = 16 << 10
"""Most headers are shorter."""
_LEAST_BYTES = 64 << 10
_MOST_BYTES = 8 << 20
"""Of a further range."""
_RETRIES = 3
_SECONDS = 30
"""For a request, and for all that are tried again."""
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")

Fetch = Callable[[int, int], bytes]
"""The bytes from a position to another, of just the object that was opened."""


def facts_of(size: int, modified: datetime, tag: str | None) -> Facts:
    """What tells an object from its next version: size, and the second it was written.

    Stores tell whole seconds, so that the rest of the time is made of the ETag: who overwrites an
    object within a second with as many bytes is found out too; Azure lists it without quotes.
    """
    seconds = int(modified.timestamp())
    bare = (tag or "").removeprefix("W/").strip('"')
    return Facts(size, seconds * 10**9 + crc32(bare.encode()) % 10**6 * 1000)


def find(address: str) -> Iterator[Files]:
    """The objects below an address, a prefix of whole segments, by folder.

    Keys come in their order, so that a folder is whole once one comes that is not below it.

    Raises:
        OSError: the store does not list them.
    """
    bucket, prefix = _split(address)
    begin = f"{prefix}/" if prefix else ""
    pending: dict[str, list[tuple[str, Facts]]] = {}
    for key, facts in _without_markers(_listed(bucket, begin)):
        folder, _, name = printable(key.removeprefix(begin)).rpartition("/")
        for other in [f for f in pending if f and not f"{folder}/".startswith(f"{f}/")]:
            yield _folder(other, pending.pop(other))
        pending.setdefault(folder, []).append((name, facts))
    for folder, objects in pending.items():
        yield _folder(folder, objects)


def _folder(folder: str, objects: list[tuple[str, Facts]]) -> Files:
    objects.sort()
    return Files(
        folder,
        "/".join(name for name, _ in objects),
        " ".join(str(facts.size_bytes) for _, facts in objects),
        " ".join(str(microseconds(facts.modified_ns)) for _, facts in objects),
        {},
    )


def _without_markers(listed: Iterator[tuple[str, Facts]]) -> Iterator[tuple[str, Facts]]:
    """Keys without the empty objects that consoles make to show a folder."""
    before: tuple[str, Facts] | None = None
    for key, facts in listed:
        if before is not None and (before[1].size_bytes or not key.startswith(f"{before[0]}/")):
            yield before
        before = None if key.endswith("/") and not facts.size_bytes else (key, facts)
    if before is not None:
        yield before


def _listed(bucket: str, begin: str) -> Iterator[tuple[str, Facts]]:
    """Keys and facts, in the order of keys."""
    last = ""
    try:
        with _told_as_the_system_would():
            for some in obstore.list(store_of(bucket), begin or None):
                for meta in some:
                    last = meta["path"]
                    yield last, facts_of(meta["size"], meta["last_modified"], meta["e_tag"])
    except InvalidPathError:
        pages = _odd_reader(bucket).get_paginator("list_objects_v2")
        with _told_as_the_system_would():
            for page in pages.paginate(Bucket=_name(bucket), Prefix=begin, StartAfter=last):
                for meta in page.get("Contents", ()):
                    yield meta["Key"], facts_of(meta["Size"], meta["LastModified"], meta["ETag"])


def open_object(place: str) -> Object:
    """Open an object by its address, and read its beginning at once.

    Raises:
        OSError: there is none, or the store does not give it.
    """
    bucket, key = _split(place)
    with _told_as_the_system_would():
        if not {"", ".", ".."}.isdisjoint(key.split("/")):
            return _open_odd(bucket, key)
        store = store_of(bucket)
        try:
            found = obstore.get(store, key, options={"range": (0, _HEAD_BYTES)})
        except GenericError:
            meta = obstore.head(store, key)
            if meta["size"]:
                raise
            return Object(b"", facts_of(0, meta["last_modified"], meta["e_tag"]), None)
        meta = found.meta
        tag = meta["e_tag"]

        def fetch(start: int, end: int) -> bytes:
            asked: Any = {"range": (start, end)} | ({} if tag is None else {"if_match": tag})
            return bytes(obstore.get(store, key, options=asked).bytes())

        facts = facts_of(meta["size"], meta["last_modified"], tag)
        return Object(bytes(found.bytes()), facts, fetch)


def _open_odd(bucket: str, key: str) -> Object:
    client, named = _odd_reader(bucket), {"Bucket": _name(bucket), "Key": key}
    head = client.head_object(**named)
    tag = head["ETag"]

    def fetch(start: int, end: int) -> bytes:
        ranged = client.get_object(**named, Range=f"bytes={start}-{end - 1}", IfMatch=tag)
        content: bytes = ranged["Body"].read()
        return content

    facts = facts_of(head["ContentLength"], head["LastModified"], tag)
    return Object(b"", facts, fetch)


class Object:
    """An object, of one version: what takes its place meanwhile cannot be read as it."""

    def __init__(self, head: bytes, facts: Facts, fetch: Fetch | None) -> None:
        self.raw: Any = _Ranges(head, facts.size_bytes, fetch)
        self.facts = facts

    def now(self) -> Facts:
        return self.facts


class _Ranges(Bytes):
    """The bytes of an object; more of them at a time, the more are asked for in a row."""

    def __init__(self, head: bytes, size: int, fetch: Fetch | None) -> None:
        self._data, self._start, self._end, self._fetch = head, 0, size, fetch
        self.size = size

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._end - self.position)]
        n = 0
        while n < len(view):
            begin = self.position - self._start
            if not 0 <= begin < len(self._data):
                self._read_on(len(view) - n)
                begin = 0
            piece = self._data[begin : begin + len(view) - n]
            view[n : n + len(piece)] = piece
            self.position += len(piece)
            n += len(piece)
        return n

    def _read_on(self, n: int) -> None:
        assert self._fetch is not None  # since there is something left
        wanted = max(n, _LEAST_BYTES, min(2 * len(self._data), _MOST_BYTES))
        with _told_as_the_system_would():
            self._data = self._fetch(self.position, min(self.position + wanted, self._end))
        self._start = self.position
        if not self._data:
            raise OSError(errno.EIO, "the store gave nothing")


def _split(address: str) -> tuple[str, str]:
    """The bucket's address, and what is behind it."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def _name(bucket: str) -> str:
    return bucket.partition("://")[2]


@lru_cache
def store_of(bucket: str) -> Any:
    """What obstore lists and reads a bucket by, or what is in it below a prefix."""
    is_plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    seconds = timedelta(seconds=_SECONDS)
    return from_url(
        bucket,
        client_options={"allow_http": is_plain, "timeout": seconds, "connect_timeout": seconds},
        retry_config={"max_retries": _RETRIES, "retry_timeout": seconds},
    )


@lru_cache
def _odd_reader(bucket: str) -> Any:
    if not bucket.startswith("s3://"):
        raise OSError(errno.EINVAL, "a key with an empty segment, . or .. is there")
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed: pip install 'dicomhouse[s3]' brings it."
        ) from None
    config = Config(
        connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": _RETRIES}
    )
    return boto3.client("s3", config=config)


@contextmanager
def _told_as_the_system_would() -> Iterator[None]:
    """Raise what a store says as the OSError that a file system would, without names or keys."""
    try:
        yield
    except InvalidPathError:
        raise
    except (PermissionDeniedError, UnauthenticatedError):
        raise PermissionError(errno.EACCES, "the store permits it not") from None
    except PreconditionError:
        raise OSError(errno.ESTALE, "it was overwritten while it was read") from None
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except OSError:
        raise
    except Exception as error:
        if not isinstance(error, BaseError) and not type(error).__module__.startswith("botocore"):
            raise
        raise OSError(errno.EIO, f"the store does not give it ({type(error).__name__})") from None
