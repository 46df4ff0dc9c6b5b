"""A generation on object storage, as moto's server has it: whole, or not to be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from polars.testing import assert_frame_equal
from stores import served_store

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.errors import StorageError, UsageError, WarehouseNotFound, WarehouseTooNew
from dicomhouse.store import remote
from dicomhouse.store.generations import Generation

obstore = pytest.importorskip("obstore")
ADDRESS = "s3://bucket/far/study"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with served_store() as address:
        yield address


@pytest.fixture
def store(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket, to which the address leads."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    connection = HTTPConnection(urlsplit(s3).netloc)
    for method, path in (("POST", "/moto-api/reset"), ("PUT", "/bucket")):
        connection.request(method, path)
        connection.getresponse().read()
    return obstore.store.from_url(ADDRESS)


def keys(store: Any) -> list[str]:
    return sorted(one["path"] for page in obstore.list(store) for one in page)


def publish(warehouse: Path, *words: str) -> int:
    return main(["publish", ADDRESS, "--warehouse", str(warehouse), *words])


def test_published_generation_is_read_by_polars(
    demo: Path, store: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(demo) == 0
    assert f"generation 1 is at {ADDRESS}/generations/000001-" in capsys.readouterr().out
    with dicomhouse.open(ADDRESS) as there, dicomhouse.open(demo) as here:
        assert there.tables.equals(here.tables)
        for name in ("files", "images", "elements"):
            found, own = getattr(there, name).collect(), getattr(here, name).collect()
            assert_frame_equal(found, own, check_row_order=False)
        for name in ("series", "findings", "series_geometry"):
            assert getattr(there, name).collect().equals(getattr(here, name).collect())
        with pytest.raises(UsageError, match="no SQL on object storage"):
            there.sql("select 1")
        with pytest.raises(AttributeError, match="no table or attribute nothing"):
            _ = there.nothing
        assert repr(there).startswith("<RemoteWarehouse, generation 1: s3://")
        assert "series" in dir(there)
    assert "value_counts" not in "".join(keys(store))


def test_second_publication_sends_what_is_new_and_keeps_two(
    demo: Path, store: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(demo)
    real = Generation.run
    for number in (2, 3):
        run_id = f"{number:06d}-00000000"
        monkeypatch.setattr(
            Generation, "run", lambda self, name=run_id: {**real(self), "run_id": name}
        )
        capsys.readouterr()
        publish(demo)
        _, kept = re.findall(r"([0-9,]+) (?:files sent|kept)", capsys.readouterr().err)
        assert int(kept) > 3
    folders = {key.split("/")[1] for key in keys(store) if key.startswith("generations/")}
    assert folders == {"000002-00000000", "000003-00000000"}
    rows = dicomhouse.open(ADDRESS, 2).elements.collect()
    assert_frame_equal(rows, dicomhouse.open(demo).elements.collect(), check_row_order=False)
    with pytest.raises(WarehouseNotFound, match="no generation 1 at"):
        dicomhouse.open(ADDRESS, 1)


def test_publication_that_stops_is_not_seen(
    demo: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = obstore.put

    def stopped(store: Any, key: str, *given: Any, **named: Any) -> Any:
        if key == "current.json":
            raise OSError("the network is gone")
        return real(store, key, *given, **named)

    monkeypatch.setattr(obstore, "put", stopped)
    assert publish(demo) == StorageError.exit_code
    assert keys(store)
    with pytest.raises(WarehouseNotFound):
        dicomhouse.open(ADDRESS)


def test_nothing_published_is_told(store: Any) -> None:
    with pytest.raises(WarehouseNotFound, match="dicomhouse publish s3://bucket/far/study"):
        dicomhouse.open(ADDRESS)


def test_publication_that_another_overtook_is_told(
    demo: Path, store: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(demo)
    real = remote._sizes

    def overtaken(there: Any, name: str) -> dict[str, int]:
        content = bytes(obstore.get(store, "current.json").bytes())
        obstore.put(store, "current.json", content + b"\n")
        return real(there, name)

    monkeypatch.setattr(remote, "_sizes", overtaken)
    assert publish(demo) == StorageError.exit_code
    assert "was quicker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", StorageError),
        (b"[" * 100_000, StorageError),
        (b'{"format": 1}', StorageError),
        (b'{"format": 99, "dicomhouse": "9"}', WarehouseTooNew),
        (
            b'{"format": 1, "dicomhouse": "1", "run_id": "../../secret", "columns": {}}',
            StorageError,
        ),
    ],
)
def test_pointer_of_others_is_not_followed(
    store: Any, content: bytes, error: type[Exception]
) -> None:
    obstore.put(store, "current.json", content)
    with pytest.raises(error):
        dicomhouse.open(ADDRESS)


def test_address_of_something_else_is_told(demo: Path, tmp_path: Path) -> None:
    for address in ("https://host/bucket", "s3://", "s3:///study", str(tmp_path)):
        words = ["publish", address, "--warehouse", str(demo)]
        assert main(words) == UsageError.exit_code


def test_storage_that_refuses_is_told_without_its_answer(
    store: Any, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["publish", "s3://another-bucket/x", "--warehouse", str(demo)]
    assert main(words) == StorageError.exit_code
    told = capsys.readouterr().err
    assert "cannot use s3://another-bucket/x" in told
    assert "Traceback" not in told and "xml" not in told.lower()
