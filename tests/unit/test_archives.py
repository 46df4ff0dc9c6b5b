"""Archives are folders of their members; what they may cost is bounded, and nothing is dropped."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from incremental import build_lake, lake_rows

from dicomhouse.errors import SourceLost, UsageError
from dicomhouse.settings import Settings
from dicomhouse.sources import archives
from dicomhouse.sources.inflated import GZIP, RAW, Inflated, Window
from dicomhouse.sources.opening import open_place, place
from dicomhouse.testing import write_image

Pack = Callable[[Path, Path], None]
OLD = 1_600_000_000


def members(root: Path) -> Iterable[tuple[str, Path]]:
    return [(str(p.relative_to(root)), p) for p in sorted(root.rglob("*")) if p.is_file()]


def pack_zip(root: Path, archive: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(archive, "w", method) as packed:
        for name, path in members(root):
            packed.write(path, name)


def pack_stored(root: Path, archive: Path) -> None:
    pack_zip(root, archive, zipfile.ZIP_STORED)


def pack_tar(root: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as packed:
        packed.add(root, ".")


KINDS: dict[str, tuple[str, Pack]] = {
    "zip": ("s.zip", pack_zip),
    "zip stored": ("s.ZIP", pack_stored),
    "tar": ("s.tar", pack_tar),
    "tar.gz": ("s.tar.gz", pack_tar),
    "tgz": ("s.tgz", pack_tar),
}


def study(root: Path) -> Path:
    """Images of which one is large, one is empty, and one is no image."""
    pixels = random.Random(7).randbytes(512 * 512 * 2)
    for number in range(4):
        write_image(root / f"a/{number}", InstanceNumber=str(number))
    write_image(root / "é b/large", Rows=512, Columns=512, PixelData=pixels, InstanceNumber="9")
    (root / "empty").touch()
    (root / "a" / "note.txt").write_text("no image")
    return root


def settle(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (OLD, OLD))


@pytest.mark.parametrize("kind", KINDS)
def test_same_files_in_an_archive_are_the_same_rows(tmp_path: Path, kind: str) -> None:
    name, pack = KINDS[kind]
    pack(study(tmp_path / "in"), tmp_path / name)
    settle(tmp_path)
    build_lake(Settings((f"s={tmp_path / 'in'}",), tmp_path / "w1"))
    build_lake(Settings((f"s={tmp_path / name}",), tmp_path / "w2"))
    told: list[str] = []
    build_lake(Settings((), tmp_path / "w2"), told)
    assert lake_rows(tmp_path / "w2") == lake_rows(tmp_path / "w1")
    assert told[-1] == "nothing changed since generation 1"


@pytest.mark.parametrize("kind", KINDS)
def test_archive_in_a_folder_is_a_folder_of_its_name(tmp_path: Path, kind: str) -> None:
    name, pack = KINDS[kind]
    study(tmp_path / "in" / "plain")
    study(tmp_path / "same" / name)
    study(tmp_path / "same" / "plain")
    pack(tmp_path / "in" / "plain", tmp_path / "in" / name)
    settle(tmp_path)
    build_lake(Settings((f"s={tmp_path / 'in'}",), tmp_path / "w1"))
    build_lake(Settings((f"s={tmp_path / 'same'}",), tmp_path / "w2"))
    assert lake_rows(tmp_path / "w1") == lake_rows(tmp_path / "w2")


def test_archive_that_changed_is_read_again_and_one_that_went_is_gone(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_image(source / "1")
    pack_tar(study(tmp_path / "x"), source / "s.tar")
    settings = Settings((str(source),), tmp_path / "w", allow_shrink=True)
    assert build_lake(settings)["files"] == {"ok": 6, "empty": 1, "not_dicom": 1}
    pack_tar(study(tmp_path / "x"), source / "s.tar")
    told: list[str] = []
    build_lake(settings, told)
    assert "build: 7 files changed" in told
    (source / "s.tar").unlink()
    assert build_lake(settings)["files"] == {"ok": 1}


def listing(archive: Path) -> tuple[dict[str, str | None], str | None]:
    """By member, why it is not read; and the archive's own problem."""
    found, _ = archives.look_into(str(archive))
    assert found is not None
    return {name: member.problem for name, member in found.members.items()}, found.problem


def test_odd_members_of_a_zip_are_rows_with_reasons(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as packed:
        packed.writestr("/lead", b"1")
        packed.writestr("../out", b"1")
        packed.writestr("inner.tar.gz", b"1")
        packed.writestr("bz", b"1" * 1_000, zipfile.ZIP_BZIP2)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("./a//b", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("twice", b"1")
            packed.writestr("twice", b"2")
    raw = bytearray((tmp_path / "s.zip").read_bytes())
    at = raw.rindex(b"PK\1\2")  # that of the last entry
    raw[at + 8] |= 1
    (tmp_path / "s.zip").write_bytes(raw)
    found, problem = listing(tmp_path / "s.zip")
    assert problem is None
    assert {name: told and told.partition(":")[0] for name, told in found.items()} == {
        "lead": None,
        "\\../out": "member_refused",
        "inner.tar.gz": "nested_archive",
        "bz": "packed_otherwise",
        "link": "not_a_file",
        "a/b": None,
        "twice": "member_refused",
    }


def test_member_that_a_password_opens_is_a_row(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as packed:
        packed.writestr("secret", b"1")
    raw = bytearray((tmp_path / "s.zip").read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "s.zip").write_bytes(raw)
    write_image(tmp_path / "1")
    record = build_lake(Settings((f"s={tmp_path}",), tmp_path / "w"))
    assert record["files"] == {"ok": 1, "unreadable": 1}
    assert any("encrypted: a member that only" in row for row in lake_rows(tmp_path / "w")["files"])
    told: list[str] = []
    build_lake(Settings((f"s={tmp_path}",), tmp_path / "w"), told)
    assert told[-1] == "nothing changed since generation 1"


def test_links_in_a_tar_are_rows_and_folders_are_none(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as packed:
        for name, kind in (
            ("d", tarfile.DIRTYPE),
            ("soft", tarfile.SYMTYPE),
            ("p", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            packed.addfile(info)
        packed.addfile(tarfile.TarInfo("file"))
    problem = "not_a_file: neither a file nor a folder"
    assert listing(tmp_path / "s.tar") == ({"soft": problem, "p": problem, "file": None}, None)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_or_damaged_archive_ends_in_rows_whatever_is_left(tmp_path: Path, kind: str) -> None:
    name, pack = KINDS[kind]
    pack(study(tmp_path / "x"), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    rng = random.Random(kind)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "1")
    for number in range(30):
        broken = bytearray(whole)
        if number % 2:
            del broken[rng.randrange(len(whole)) :]
        else:
            for _ in range(20):
                broken[rng.randrange(len(whole))] = rng.randrange(256)
        (tmp_path / "in" / f"{number}-{name}").write_bytes(broken)
    record = build_lake(Settings((str(tmp_path / "in"),), tmp_path / "w"))
    assert sum(record["files"].values()) >= 31


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz"])
def test_tar_that_is_cut_says_so_and_gives_what_is_whole(tmp_path: Path, name: str) -> None:
    pack_tar(study(tmp_path / "x"), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    found, problem = listing(tmp_path / name)
    assert problem is not None and problem.startswith("archive_damaged")
    assert list(found.values()).count("member_refused: the archive ends within it") == 1
    assert None in found.values()


def test_file_that_only_bears_the_name_is_read_as_a_file(tmp_path: Path) -> None:
    for name in ("1.zip", "2.tar", "3.tar.gz", "4.tgz"):
        write_image(tmp_path / "in" / name)
    assert build_lake(Settings((str(tmp_path / "in"),), tmp_path / "w"))["files"] == {"ok": 4}


def test_empty_archive_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, (ending, pack) in KINDS.items():
        if name != "zip stored":
            (tmp_path / "nothing").mkdir(exist_ok=True)
            pack(tmp_path / "nothing", tmp_path / "in" / ending)
    record = build_lake(Settings((str(tmp_path / "in"),), tmp_path / "w"))
    assert record["files"] == {"not_dicom": 4}


def test_archive_as_source_that_holds_nothing_ends_the_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w"):
        pass
    with pytest.raises(SourceLost, match="no archive"):
        build_lake(Settings((str(tmp_path / "s.zip"),), tmp_path / "w"))
    (tmp_path / "s.7z").touch()
    with pytest.raises(UsageError, match="not a folder"):
        build_lake(Settings((str(tmp_path / "s.7z"),), tmp_path / "w"))


# What an archive may cost


def test_zip_of_zeros_is_refused_by_what_it_declares(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("1", b"\0" * 10_000)
    raw = bytearray((tmp_path / "s.zip").read_bytes())
    at = raw.index(b"PK\1\2") + 24
    raw[at : at + 4] = (archives.MOST_UNPACKED + 1).to_bytes(4, "little")
    (tmp_path / "s.zip").write_bytes(raw)
    assert listing(tmp_path / "s.zip") == (
        {},
        "archive_over_bounds: 1,073,741,825 bytes unpacked",
    )


def test_gzip_of_zeros_is_left_at_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 1 << 20)
    with tarfile.open(tmp_path / "s.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 64 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    found, problem = listing(tmp_path / "s.tar.gz")
    assert problem is not None and problem.startswith("archive_over_bounds: more than")
    assert found == {"zeros": "member_refused: the archive ends within it"}


def test_directory_and_headers_are_not_read_beyond_their_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_DIRECTORY_BYTES", 66_000)  # it looks for a comment of 64 KB
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as packed:
        for number in range(1_500):
            packed.writestr(str(number), b"")
    _, problem = listing(tmp_path / "s.zip")
    assert problem is not None and problem.startswith("archive_over_bounds: a directory of")
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "s.tar", "w", format=form) as tar:
            tar.addfile(tarfile.TarInfo("x" * (2 << 20)))
        write_image(tmp_path / "1")
        _, problem = listing(tmp_path / "s.tar")
        assert problem is not None and problem.startswith("archive_over_bounds: a header of")


def test_number_of_members_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    for name, pack in (("s.zip", pack_zip), ("s.tar", pack_tar)):
        for number in range(11):
            (tmp_path / "x").mkdir(exist_ok=True)
            (tmp_path / "x" / str(number)).touch()
        pack(tmp_path / "x", tmp_path / name)
        assert listing(tmp_path / name)[1] == "archive_over_bounds: more than 10 members"


def test_member_longer_than_declared_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("1", b"\0" * 10_000_000)
    raw = bytearray((tmp_path / "s.zip").read_bytes())
    at = raw.index(b"PK\1\2") + 24
    raw[at : at + 4] = (100).to_bytes(4, "little")
    (tmp_path / "s.zip").write_bytes(raw)
    with (
        open_place(str(tmp_path / "s.zip/1")).raw as stream,
        pytest.raises(OSError, match="more than"),
    ):
        stream.read()


# Opening


def test_path_that_leads_out_of_its_source_is_not_opened() -> None:
    for path in ("../x", "/etc/passwd", "a/../../x", "\\x2e./x"):
        with pytest.raises(UsageError, match="leads out"):
            place("/data", path)


def test_member_that_is_not_there_is_no_file(tmp_path: Path) -> None:
    pack_zip(study(tmp_path / "x"), tmp_path / "s.zip")
    for path in ("s.zip/nowhere", "s.zip/a", "x/a/0/1"):
        with pytest.raises(OSError):
            open_place(str(tmp_path / path))


@given(
    st.lists(st.binary(max_size=400_000), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 1.1), st.integers(0, 300_000)), max_size=8),
    st.booleans(),
)
def test_inflated_bytes_are_those_that_were_packed_from_any_position_on(
    pieces: list[bytes], reads: list[tuple[float, int]], is_gzip: bool
) -> None:
    whole = b"".join(pieces) * 9
    if is_gzip:
        packed = b"".join(gzip.compress(piece) for piece in pieces * 9)
    else:
        deflate = zlib.compressobj(wbits=RAW)
        packed = deflate.compress(whole) + deflate.flush()
    source = Window(io.BytesIO(b"!" + packed + b"!"), 1, len(packed))  # type: ignore[arg-type]
    stream = Inflated(source, GZIP if is_gzip else RAW, len(whole))
    for share, n in reads:
        at = int(share * len(whole))
        stream.seek(at)
        assert stream.read(n) == whole[at : at + n]


def test_going_back_in_a_long_stream_starts_at_a_state_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dicomhouse.sources.inflated._FIRST_STRIDE", 100_000)
    monkeypatch.setattr("dicomhouse.sources.inflated._MOST_STATES", 8)
    whole = random.Random(1).randbytes(3_000_000)
    packed = io.BytesIO(gzip.compress(whole))
    stream = Inflated(packed, GZIP, len(whole))  # type: ignore[arg-type]
    assert stream.read(len(whole)) == whole
    assert 4 <= len(stream.states) <= 9
    rng = random.Random(2)
    for _ in range(50):
        at = rng.randrange(len(whole))
        stream.seek(at)
        assert stream.read(100) == whole[at : at + 100]
