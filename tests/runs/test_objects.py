"""Objects of a store, by the protocol: moto's server answers on loopback."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from incremental import build_lake, lake_rows
from stores import served_store

from dicomhouse.errors import SourceLost
from dicomhouse.filesystem import below
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image

boto3 = pytest.importorskip("boto3")
objects = pytest.importorskip("dicomhouse.sources.objects")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with served_store() as address:
        yield address


@pytest.fixture
def client(endpoint: str, request: pytest.FixtureRequest) -> Any:
    """A client, and a bucket of the test's own: `client.bucket`."""
    made = boto3.client("s3")
    made.bucket = request.node.name.replace("_", "-")[:60].strip("-")
    made.create_bucket(Bucket=made.bucket)
    return made


def put(client: Any, folder: Path, begin: str = "") -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            key = begin + str(path.relative_to(folder))
            client.put_object(Bucket=client.bucket, Key=key, Body=path.read_bytes())


def study(folder: Path) -> Path:
    for number in range(5):
        write_image(folder / f"a/{number}", InstanceNumber=str(number))
    pixels = bytes(range(256)) * 2048
    write_image(
        folder / "b c/é#?%41", Rows=512, Columns=512, PixelData=pixels, ImageComments="x" * 60_000
    )
    (folder / "b c" / "empty").touch()
    (folder / "note.txt").write_text("no image")
    return folder


def without_times(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    time = re.compile(r"\('modified_at', datetime\.datetime\([^)]*\)\), ")
    return {table: [time.sub("", row) for row in told] for table, told in rows.items()}


def test_same_files_in_a_store_are_the_same_rows(client: Any, tmp_path: Path) -> None:
    put(client, study(tmp_path / "in"), "ward/2024/")
    put(client, study(tmp_path / "in"), "ward/2024 other/")
    address = f"s=s3://{client.bucket}/ward/2024/"
    build_lake(Settings((f"s={tmp_path / 'in'}",), tmp_path / "w1"))
    build_lake(Settings((address,), tmp_path / "w2"))
    one, two = lake_rows(tmp_path / "w1"), lake_rows(tmp_path / "w2")
    assert two["elements"] == one["elements"] and len(one["files"]) == 8
    assert without_times(two) == without_times(one)
    told: list[str] = []
    build_lake(Settings((), tmp_path / "w2"), told)
    assert told[-1] == "nothing changed since generation 1"


def test_object_that_was_overwritten_is_read_again_though_time_and_size_are_the_same(
    client: Any, tmp_path: Path
) -> None:
    put(client, study(tmp_path / "in"))
    settings = Settings((f"s=s3://{client.bucket}",), tmp_path / "w")
    build_lake(settings)
    write_image(tmp_path / "in" / "a" / "0", InstanceNumber="7")
    put(client, tmp_path / "in")
    told: list[str] = []
    build_lake(settings, told)
    changed = next(line for line in told if line.startswith("build: "))
    assert "changed" in changed
    facts = [objects.open_object(f"s3://{client.bucket}/a/{n}").facts for n in (0, 1)]
    assert facts[0] != facts[1]
    client.delete_object(Bucket=client.bucket, Key="a/0")
    told.clear()
    build_lake(settings, told)
    assert any("1 file gone" in line for line in told)


def test_keys_that_no_file_system_has_are_read_too(client: Any, tmp_path: Path) -> None:
    image = write_image(tmp_path / "1").read_bytes()
    keys = ["a/1", "a//2", "b/../3", "c/./4", "d/5/"]
    for key in keys:
        client.put_object(Bucket=client.bucket, Key=key, Body=image)
    for marker in ("e/", "e/6"):
        body = b"" if marker.endswith("/") else image
        client.put_object(Bucket=client.bucket, Key=marker, Body=body)
    found = [
        below(files.folder, name)
        for files in objects.find(f"s3://{client.bucket}")
        for name in files.names.split("/")
    ]
    assert sorted(found) == sorted([*keys, "e/6"])
    record = build_lake(Settings((f"s=s3://{client.bucket}",), tmp_path / "w"))
    assert record["files"] == {"ok": 6}


def test_folder_marker_is_no_file(client: Any) -> None:
    for key, body in (("e/", b""), ("e/6", b"1"), ("e7", b"1")):
        client.put_object(Bucket=client.bucket, Key=key, Body=body)
    found = {files.folder: files.names for files in objects.find(f"s3://{client.bucket}")}
    assert found == {"e": "6", "": "e7"}


def test_version_is_the_same_whether_a_store_quotes_its_tag_or_not() -> None:
    """Azure does as an object is read, and not where it is listed."""
    now = datetime.now(UTC)
    assert objects.facts_of(1, now, '"0x8D"') == objects.facts_of(1, now, "0x8D")
    assert objects.facts_of(1, now, "0x8D") != objects.facts_of(1, now, "0x8E")


def test_object_that_went_or_is_refused_is_an_error_of_the_system(client: Any) -> None:
    with pytest.raises(FileNotFoundError):
        objects.open_object(f"s3://{client.bucket}/nowhere")
    with pytest.raises(OSError):
        objects.open_object("s3://no-such-bucket/a")


def test_object_that_is_overwritten_while_it_is_read_is_not_read_as_one(client: Any) -> None:
    client.put_object(Bucket=client.bucket, Key="1", Body=b"a" * 200_000)
    opened = objects.open_object(f"s3://{client.bucket}/1")
    assert opened.raw.read(10) == b"a" * 10
    client.put_object(Bucket=client.bucket, Key="1", Body=b"b" * 200_000)
    opened.raw.seek(100_000)
    with pytest.raises(OSError, match="overwritten"):
        opened.raw.read(10)


def test_store_that_cannot_be_listed_ends_the_run(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceLost, match="credentials"):
        build_lake(Settings(("s3://no-such-bucket-at-all/x",), tmp_path / "w"))
    assert "nobody" not in os.listdir(tmp_path)  # noqa: PTH208
