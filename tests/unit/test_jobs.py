"""A list that is handed out more than once makes its part once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow.parquet as pq
import pytest

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.errors import StorageError
from dicomhouse.filesystem import Files
from dicomhouse.lake import extract
from dicomhouse.lake.orders import Batch
from dicomhouse.lake.records import PartRecord
from dicomhouse.store import jobs
from dicomhouse.store.generations import Generation, create
from dicomhouse.store.jobs import carry_out
from dicomhouse.testing import write_image

NAME = "part-000001-00000000-00000"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_image(tmp_path / "in" / "1", Modality="CT")
    generation = Generation(tmp_path / "000001")
    create(generation)
    files = Files("", "1", "-", "-", {})
    batch = Batch.of(NAME, "in", "000001-00000000", str(tmp_path / "in"), [files], Bounds())
    return batch.save(generation.work / "extract")


def test_list_that_is_done_gives_its_record(work: Path) -> None:
    first = carry_out(work, "x")
    assert not work.exists()
    assert carry_out(work, "x") == first


def test_two_workers_do_a_list_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, done, both = extract.extract_batch, [], Barrier(2)

    def counted(batch: Batch, lake: Path) -> Any:
        done.append(batch.name)
        return real(batch, lake)

    def at_once(work: Path) -> PartRecord:
        both.wait()
        return carry_out(work, "x")

    monkeypatch.setattr(extract, "extract_batch", counted)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(at_once, [work, work])
    assert one == other
    assert done == [NAME]


def test_worker_that_ended_within_a_part_leaves_nothing_of_it(work: Path) -> None:
    """It had read the file when it was an MR image."""
    lake = work.parents[2] / "lake"
    for path in (f"images/source=in/Modality=MR/{NAME}.parquet", f"files/source=in/.{NAME}.a.tmp"):
        (lake / path).parent.mkdir(parents=True)
        (lake / path).touch()
    work.with_suffix(".begun").touch()
    record = carry_out(work, "x")
    there = {str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()}
    assert there == set(record.paths)
    assert {path.split("/")[-2] for path in there} == {"source=in", "Modality=CT"}
    assert pq.ParquetFile(lake / f"files/source=in/{NAME}.parquet").metadata.num_rows == 1


def test_list_that_another_holds_for_long_is_told(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_WAIT_SECONDS", 0)
    with jobs._alone(work), pytest.raises(StorageError, match="another worker has been at"):
        carry_out(work, "x")
