"""One file may cost so much and no more: each bound ends it with a reason, and the rest goes on."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from headers import encode, raw_file, read, top
from places import ROOT
from pydicom.uid import ExplicitVRLittleEndian

from dicomhouse.dicom.bounds import Bounds, Budget
from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.errors import StorageError, UsageError
from dicomhouse.lake import extract, parts
from dicomhouse.lake.extract import extract_batch
from dicomhouse.lake.orders import Batch
from dicomhouse.settings import Settings, default_bounds, default_budget, default_file_id_key
from dicomhouse.store.generations import Generation, create
from dicomhouse.store.jobs import carry_out
from dicomhouse.testing import build_cohort, write_image
from dicomhouse.testing.hostile import hostile_files
from dicomhouse.testing.raw import part10, raw_element

MEMORY = ROOT / "bench" / "memory.py"
SMALL = Bounds(
    max_header_bytes=2 << 20,
    max_elements=20_000,
    max_distinct=12_000,
    max_objects=4_000,
    max_inflated_bytes=1 << 20,
    max_fragments=10_000,
)
ENDS = {
    "length of 4 GB": "truncated header_ends",
    "length of 4 GB, implicit": "truncated header_ends",
    "length of 4 GB, big endian": "truncated header_ends",
    "nests 10,000 levels": "unreadable too_deep",
    "nests 10,000 levels of known length": "unreadable too_deep",
    "deflated bomb": "unreadable inflates_too_far",
    "deflated bomb without preamble": "unreadable inflates_too_far",
    "deflated without end": "truncated header_ends",
    "a million elements": "unreadable too_many",
    "a million different elements": "unreadable too_many",
    "a million elements, out of order": "unreadable too_many",
    "a million items": "unreadable too_many",
    "a million items of known length": "unreadable too_many",
    "a million items, out of order": "unreadable too_many",
    "a million items as UN": "ok",
    "a million empty items": "unreadable too_many",
    "a storm of private creators": "unreadable too_many",
    "a list of 8 million numbers": "ok",
    "a list of 4 million integers": "ok",
    "a private creator of 1 MB": "ok",
    "pixel data a million times": "unreadable too_many",
    "two million fragments": "unreadable too_many",
    "a header of 64 MB": "unreadable too_long",
}


def test_a_worker_stays_below_400_mb_for_20_000_files_and_hostile_ones() -> None:
    words = ["--set", "osic and hostile", "--files", "20000", "--many", "200000", "--json"]
    done = subprocess.run([sys.executable, MEMORY, *words], capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert told["peak_bytes"] < 400_000_000
    assert sum(told["statuses"].values()) == told["files"] == 20_000 + len(ENDS)
    assert told["statuses"]["ok"] >= 20_000
    assert told["elements"] > 56 * 20_000
    assert told["lake_bytes_per_image"] <= 200


def test_hostile_files_end_at_a_bound_with_a_reason() -> None:
    ends = {}
    headers = Headers()
    walker = Walker(headers, SMALL)
    whole = encode(PatientID="P")
    for name, data in hostile_files(50_000):
        header = walker.read(io.BytesIO(data))
        ends[name] = " ".join(filter(None, (header.status, (header.reason or "").split(":")[0])))
        assert walker.read(io.BytesIO(whole)).status == "ok"
    assert ends == ENDS
    assert len(headers.elements) < 20_000  # what was given up is let go of


def test_text_beyond_its_bound_has_a_digest() -> None:
    data = encode(PatientComments="x" * 100)
    long = [
        next(e for e, _ in read(data, bounds)[1] if e.path == "PatientComments")
        for bounds in (Bounds(max_text_bytes=100), Bounds(max_text_bytes=99))
    ]
    assert (long[0].value, long[0].digest, long[0].problem) == ("x" * 100, None, None)
    assert (long[1].value, long[1].problem, long[1].problem_class) == (None, "not_read", "value")
    assert len(long[1].digest or "") == 32


def test_long_list_of_numbers_is_not_taken_apart() -> None:
    data = raw_file(0x00283006, "US", bytes(40_000))
    bounds = Bounds(max_text_bytes=30_000)
    element = next(e for e, _ in read(data, bounds)[1] if e.path == "LUTData")
    assert (element.vm, element.value, element.problem) == (1, None, "not_read")
    assert top(data, "LUTData").vm == 20_000


@pytest.mark.parametrize("length", [64, 65])
def test_creator_longer_than_its_vr_names_no_block(length: int) -> None:
    creator = "A" * length
    data = part10(
        ExplicitVRLittleEndian,
        raw_element(0x00180050, "DS", b"1 ", False)
        + raw_element(0x00190010, "LO", creator.encode(), False)
        + raw_element(0x0019100C, "LO", b"x ", False),
    )
    headers = Headers()
    walker = Walker(headers)
    walker.read(io.BytesIO(data))
    assert not walker.fallbacks
    assert list(headers.occurrences(0)) == read(data)[1]
    name = f'"{creator}"' if length <= 64 else "?"
    paths = [e.path for e, _ in headers.occurrences(0) if e.path.startswith("(")]
    assert paths == [f"(0019,{name})", f"(0019,{name},0C)"]


def test_bounds_come_from_the_environment_and_reach_the_worker(tmp_path: Path) -> None:
    bounds = default_bounds({"DICOMHOUSE_BOUNDS": "max_elements=5  max_depth=2"})
    assert bounds == Bounds(max_elements=5, max_depth=2)
    assert default_bounds({}) == Bounds() == Settings(("a",), tmp_path).bounds
    assert Settings(("a",), tmp_path, bounds=bounds).as_json()["bounds"]["max_elements"] == 5
    write_image(tmp_path / "1")
    batch = Batch("part", "s", "run", str(tmp_path), [("", "1")], bounds=bounds)
    batch = Batch.load(batch.save(tmp_path))
    assert extract_batch(batch, tmp_path / "lake").statuses == {"unreadable": 1}


@pytest.mark.parametrize("told", ["max_elements", "max_elements=x", "most=1", "max_depth=0"])
def test_bounds_that_are_none_are_wrong_usage(told: str) -> None:
    with pytest.raises(UsageError, match="max_header_bytes"):
        default_bounds({"DICOMHOUSE_BOUNDS": told})


def test_budget_and_key_come_from_the_environment_and_the_key_stays_out_of_records(
    tmp_path: Path,
) -> None:
    assert default_budget({"DICOMHOUSE_BUDGET": "pixel_bytes=5"}) == Budget(pixel_bytes=5)
    with pytest.raises(UsageError, match="pixel_bytes, pixel_seconds"):
        default_budget({"DICOMHOUSE_BUDGET": "pixel_seconds=soon"})
    for key in ("x" * 65, "\udcff"):
        with pytest.raises(UsageError, match="64 characters at most"):
            default_file_id_key({"DICOMHOUSE_FILE_ID_KEY": key})
    settings = Settings(("a",), tmp_path, file_id_key="secret")
    assert "secret" not in repr(settings) + str(settings.as_json())


def test_batch_written_in_pieces_holds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=8, profile="hospital")
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    paths = sorted(path for path in (tmp_path / "in").rglob("*") if path.is_file())
    folders = [(str(path.parent.relative_to(tmp_path)), path.name) for path in paths]
    lakes = []
    for most, most_open in ((extract._MOST_ROWS, parts._MOST_OPEN), (1000, 1)):
        monkeypatch.setattr(extract, "_MOST_ROWS", most)
        monkeypatch.setattr(parts, "_MOST_OPEN", most_open)
        folder = tmp_path / str(most)
        summary = extract_batch(Batch("p", "s", "run", str(tmp_path), folders), folder / "lake")
        assert (summary.files, summary.images) == (len(paths), len(paths) - 1)
        lakes.append(folder / "lake")
    for table in ("files", "images", "elements"):
        files = [sorted(lake.glob(f"{table}/**/*.parquet")) for lake in lakes]
        assert [p.relative_to(lakes[0]) for p in files[0]] == [
            p.relative_to(lakes[1]) for p in files[1]
        ]
        for one, other in zip(*files, strict=True):
            key = ["path", "file_id"] + (["item"] if table == "elements" else [])
            whole, pieces = (pl.read_parquet(part).sort(key) for part in (one, other))
            assert whole.equals(pieces.select(whole.columns))
    assert not list(lakes[1].rglob("*.tmp"))


def test_batch_of_many_modalities_opens_few_files(tmp_path: Path) -> None:
    names = [f"{number:03d}" for number in range(80)]
    for name in names:
        write_image(tmp_path / name, Modality=f"M{name}")
    batch = Batch("p", "s", "run", str(tmp_path), [("", "/".join(names))])
    with few_descriptors(40):
        assert extract_batch(batch, tmp_path / "lake").images == 80
    assert len(list((tmp_path / "lake" / "elements" / "source=s").iterdir())) == 80


def test_lake_that_cannot_be_written_is_told_without_a_modality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = Generation(tmp_path / "000001")
    create(generation)
    names = ["1", "2", "3"]
    for name in names:
        write_image(tmp_path / name, Modality=f"SECRET {name}")
    batch = Batch("p", "s", "run", str(tmp_path), [("", "/".join(names))])
    work = batch.save(generation.work / "extract")
    monkeypatch.setattr(parts, "_MOST_OPEN", 99)
    with few_descriptors(6), pytest.raises(StorageError, match="Too many open files") as failed:
        carry_out(work, "extractor")
    told = "".join(traceback.format_exception(failed.value))
    assert "SECRET" not in told


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """Let this process open only some files more than it has open now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    there = sum(1 for _ in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (there + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
