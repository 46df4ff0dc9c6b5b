"""Odd names, odd texts and odd private blocks, all the way to the models."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import traceback
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from commands import call_cli, run_cli
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

import dicomhouse
from dicomhouse import output
from dicomhouse.errors import QueryError
from dicomhouse.output import write
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes, write_image
from dicomhouse.warehouse.database import _json, query


def waveform(data: bytes) -> Dataset:
    item = Dataset()
    item.add_new(0x54001010, "OB", data)
    return item


def test_odd_names_texts_and_blocks_are_data(tmp_path: Path) -> None:
    odd = "O'Brien\"; drop table x; --"
    source = tmp_path / "in" / "a'b \"c=d %20 [x]"
    for number in range(3):
        private = [
            DataElement(0x0019100C, "LO", "no creator"),
            DataElement(0x0019110C, "LO", f"none either {number}"),
            DataElement(0x00210010, "LO", "ACME"),
            DataElement(0x00210011, "LO", "ACME"),
            DataElement(0x0021100A, "LO", "same"),
            DataElement(0x0021110A, "LO", f"other {number}"),
            DataElement(0x0021110B, "LO", "same"),
        ]
        write_image(
            source / "p;\n'" / f"{number}",
            *private,
            PatientID=odd,
            InstanceNumber=number,
            Modality="A'/..",
            WaveformSequence=[waveform(b"aa"), waveform(b"bb")],
        )
    folder = tmp_path / "a 'warehouse' [1]*"
    build_direct(Settings((str(source),), folder, jobs=1), lambda line: None)
    with dicomhouse.open(folder) as opened:
        assert opened.sql("select * from patients")["patient_ids"].to_list() == [[odd]]
        assert opened.images.select("source").unique().collect().item() == source.name
        assert opened.elements.filter(pl.col("path") == "PatientID").collect().height == 3
        levels = opened.sql("from tag_levels where path like '(%' order by path")
        assert levels.select("path", "level").rows() == [
            ("(0019,?,0C)", "item"),
            ('(0021,"ACME",0A)', "item"),
            ('(0021,"ACME",0B)', "source"),
        ]
        bulk = opened.sql("from tag_levels where path = 'WaveformSequence.WaveformData'")
        assert bulk["level"].item() == "item"
        tags = opened.sql("from patient_tags where path like '(%' order by path")
        assert tags.select("present", "absent", "distinct_values").rows() == [
            (3, 0, 3), (3, 0, 3), (3, 0, 1)
        ]  # fmt: skip
    moved = tmp_path / "moved [2]"
    folder.rename(moved)
    with dicomhouse.open(moved) as opened:
        assert opened.sql("select count(*) from elements where path = 'PatientID'").item() == 3


MARK = "77700077701"
"""Digits, so that it is a text, a number and part of a UID."""
NAME = "DOE^JANE 19700101"
"""Of a source, and of its folder."""
MODALITY = 0x00080060  # the name of a partition


def marked() -> bytes:
    """A file that holds the mark in every element of the dictionary that takes text."""
    whole = dataset_bytes()
    body = bytearray()
    for tag, (vr, *_) in sorted(DicomDictionary.items()):
        if tag >> 16 < 8 or tag >> 16 == 0xFFFE or len(vr) != 2 or tag == MODALITY:
            continue
        value = f"1.2.{MARK}".encode() if vr == "UI" else MARK.encode()
        value += b" " * (len(value) % 2) if vr != "UI" else b"\0" * (len(value) % 2)
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        if vr in ("UT", "UC", "UR", "UN"):
            body += head + vr.encode() + b"\0\0" + len(value).to_bytes(4, "little") + value
        elif vr in ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM",
                    "UI"):  # fmt: skip
            body += head + vr.encode() + len(value).to_bytes(2, "little") + value
    return whole[: 144 + int.from_bytes(whole[140:144], "little")] + bytes(body)


def test_no_log_error_artifact_or_database_holds_a_value(
    tmp_path: Path, prefect_home: Path
) -> None:
    data = marked()
    folder = tmp_path / NAME / f"patient {MARK}"
    folder.mkdir(parents=True)
    for name, held in {
        "whole": data, "cut": data[:-5], "odd": data.replace(b"LO", b"XX", 3),
        "bare": data[132:],
        "big": data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
    }.items():  # fmt: skip
        (folder / f"{name} {MARK}").write_bytes(held)
    warehouse = tmp_path / "w"
    at = ("--warehouse", str(warehouse))
    loud = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
            "PREFECT_SERVER_LOGGING_LEVEL": "DEBUG", "DBT_LOG_LEVEL": "debug"}  # fmt: skip
    source = f"{NAME}\x1b[2J\nb"
    done = run_cli("build", f"{source}={tmp_path / NAME}", *at, "--flow", "--debug", **loud)
    assert done.returncode == 0, done.stderr
    assert NAME not in done.stdout + done.stderr
    with dicomhouse.open(warehouse) as opened:
        found = opened.sql(f"select count(distinct path) n from elements where value = '{MARK}'")
        assert found.item() > 1000
    shutil.move(folder, tmp_path)
    empty = run_cli("build", *at, "--flow", **loud)
    assert empty.returncode == 8
    *logged, told_user = empty.stderr.splitlines()
    assert NAME in told_user and "\x1b" not in told_user
    assert any("source <source>: no file below <folder>" in line for line in logged)
    assert NAME not in "".join(logged)
    for told in (done, empty, run_cli("status", *at)):
        assert MARK not in told.stdout + told.stderr
    files = [p for p in (*prefect_home.rglob("*"), *warehouse.rglob("*"))
             if p.is_file() and not p.is_symlink()]  # fmt: skip
    assert {"prefect.db", "run.json"} <= {path.name for path in files}
    kept = [path for path in files if path.is_relative_to(prefect_home)]
    assert [path for path in kept if NAME.encode() in path.read_bytes()] == []
    one = warehouse / "generations" / "000001"
    homes = (one / "lake", one / "report", one / "warehouse.duckdb")
    strange = [path for path in files if not any(path.is_relative_to(home) for home in homes)]
    assert [path for path in strange if MARK.encode() in path.read_bytes()] == []
    for path in [warehouse, *warehouse.rglob("*")]:
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path


def test_name_of_sixty_thousand_components_is_no_matter_of_memory(tmp_path: Path) -> None:
    for letter in "ABC":
        name = letter + "^" * 65_000
        write_image(tmp_path / "in" / letter, PatientID=letter, PatientName=name)
    build_direct(Settings((str(tmp_path / "in"),), tmp_path / "w"), lambda line: None)
    with dicomhouse.open(tmp_path / "w") as opened:
        assert opened.sql("select count(*) n from files where status = 'ok'").item() == 3


def test_source_whose_path_is_no_text_is_built(tmp_path: Path, prefect_home: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    write_image(source / "1")
    done = run_cli("build", str(source), "--flow", "--warehouse", str(tmp_path / "w"))
    assert done.returncode == 0, done.stderr
    record = {"sources": {"\\xff": str(source)}, "rest": "\N{GRINNING FACE}"}
    (told,) = (
        duckdb.connect().execute("select ?::json ->> '$.sources.*'", [_json(record)]).fetchone()
    )
    assert told == [f"{tmp_path}/\\xff"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("-1024", "-1024"), ("+1.5e-3", "+1.5e-3"), ("-166.0\\-171.7", "-166.0\\-171.7"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"), ("=1", "'=1"), ("-", "'-"),
        ("-1\n=2", "'-1\n=2"),
    ],
)  # fmt: skip
def test_numbers_are_no_formulas(text: str, cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(pa.table({"value": [text]}), "csv")
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["value"], [cell]]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_what_turns_text_around_or_is_not_seen_is_shown(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    unseen = "\u00ad\u200b\u2028\u2029\u2060\ufeff\U000e0041"
    rows = pa.table({"a": [f"{turns}{unseen}", "山\u3000田 é 😀"]})
    write(rows, form)
    shown = capsys.readouterr().out
    assert not set(turns + unseen) & set(shown)
    assert "\\u202e" in shown and "山\u3000田 é 😀" in shown
    if form == "json":
        assert json.loads(shown.splitlines()[0])["a"] == f"{turns}{unseen}"


def test_json_is_json_whatever_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    rows = pa.table({
        "text": ["\x9b2J"], "nan": [math.nan], "list": [[1.0, math.inf]],
        "decimal": [Decimal("1.50")], "bytes": [b"\xff"],
    })  # fmt: skip
    write(rows, "json")
    told = capsys.readouterr().out
    assert "\x9b" not in told
    assert json.loads(told, parse_constant=pytest.fail) == {
        "text": "\x9b2J", "nan": None, "list": [1.0, None], "decimal": 1.5, "bytes": "ff",
    }  # fmt: skip


_TEXTS = st.none() | st.text(max_size=3) | st.sampled_from(["=1", "-1", "a,b", 'a"b', "a\r", "1.2"])


@given(st.lists(st.tuples(_TEXTS, st.none() | st.integers(-9, 9), _TEXTS), max_size=4))
def test_csv_is_that_of_each_row_by_itself(rows: list[tuple[Any, ...]]) -> None:
    table = pa.Table.from_pylist(
        [dict(zip("abc", row, strict=True)) for row in rows],
        pa.schema({"a": pa.string(), "b": pa.int64(), "c": pa.string()}),
    )
    written, expected = io.StringIO(), io.StringIO()
    with redirect_stdout(written):
        output.write(table, "csv")
    writer = csv.writer(expected, lineterminator="\n")
    writer.writerows([["a", "b", "c"], *(map(output._csv, row) for row in rows)])
    assert written.getvalue() == expected.getvalue()


def test_what_is_shown_is_neutralised(tmp_path: Path) -> None:
    evil = {"formula": "=cmd|' /C calc'!A0", "page": "<script>alert(1)</script>",
            "terminal": "\x1b[2J\x1b]0;owned\x07"}  # fmt: skip
    for name, text in evil.items():
        write_image(tmp_path / "in" / name / "1", PatientID=text, StudyDescription=text,
                    SeriesDescription=text, SeriesInstanceUID="../../../../owned")  # fmt: skip
    at = ("--warehouse", str(tmp_path / "w"))
    build_direct(Settings((str(tmp_path / "in"),), tmp_path / "w"), lambda line: None)
    query = "select value from elements where path = 'PatientID' order by value"
    for form in ("table", "csv"):
        told = call_cli("sql", query, "--format", form, *at).stdout
        assert "script" in told
        assert "\x1b" not in told and "\x07" not in told
        if form == "csv":
            assert "'=cmd" in told and "\n=cmd" not in told
    report = (tmp_path / "w" / "report" / "index.html").read_text()
    assert "script>alert" in report and "<script>alert" not in report
    assert list(tmp_path.rglob("owned*")) == []
    assert [folder for folder in tmp_path.parents if (folder / "owned").exists()] == []


@pytest.mark.parametrize(
    "asked",
    [
        "started at time zone value",
        "value::int",
        "strptime(value, '%Y')",
        "date_trunc(value, started)",
    ],
)
def test_error_in_the_rows_of_a_query_holds_no_value(asked: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"create table t as select '{MARK}' as value, now()::timestamp started")
        with pytest.raises(QueryError, match="its words may hold a value") as failed:
            query(connection, f"select {asked} from t")
    assert MARK not in "".join(traceback.format_exception(failed.value))
