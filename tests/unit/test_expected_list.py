"""Lists of what should be here, in each of their forms."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomhouse.errors import UsageError
from dicomhouse.warehouse.expected import digest, read

SERIES = [
    {"line": 1, "SeriesInstanceUID": "1.2", "NumberOfSeriesRelatedInstances": "6500"},
    {"line": 2, "SeriesInstanceUID": "1.3"},
]


def rows(path: Path) -> list[dict[str, Any]]:
    found = [row for some in read(path) for row in some.to_pylist()]
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def test_forms_of_a_list_say_the_same(tmp_path: Path) -> None:
    table = {"series_instance_uid": ["1.2 ", "1.3"], "NumberOfSeriesRelatedInstances": [6500, None]}
    pq.write_table(pa.table(table | {"Comment": ["x", "y"]}), tmp_path / "list.parquet")
    assert rows(tmp_path / "list.parquet") == SERIES
    found = [
        {
            "00080052": {"vr": "CS", "Value": ["SERIES"]},
            "0020000E": {"vr": "UI", "Value": ["1.2"]},
            "00201209": {"vr": "IS", "Value": [6500]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        },
        {"0020000E": {"vr": "UI", "Value": ["1.3"]}, "00201209": {"vr": "IS"}},
    ]
    (tmp_path / "found.JSON").write_text(json.dumps(found))
    assert rows(tmp_path / "found.JSON") == SERIES
    for sign in ",;\t":
        head = sign.join(("SERIESINSTANCEUID", "Number of Series Related Instances"))
        text = f'\ufeff{head}\r\n"1.2"{sign}6500\r\n1.3{sign}\r\n'
        (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
        below_the_head = [{**row, "line": row["line"] + 1} for row in SERIES]
        assert rows(tmp_path / "list.csv") == below_the_head


def test_bad_lines_are_told_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("StudyInstanceUID,instances\n1.2,1\n1.3\n1.4,2,3\n1.5,4\n")
    assert {row["line"]: row.get("problem") for row in rows(path)} == {
        2: None, 3: "it has 1 column of 2", 4: "it has 3 columns of 2", 5: None,
    }  # fmt: skip
    assert [row["StudyInstanceUID"] for row in rows(path)[:2]] == ["1.2", "1.5"]
    path = tmp_path / "found.json"
    path.write_text('[3, {"0020000D": {"Value": ["1.2"]}}, {"0020000D": {"Value": [{}]}}]')
    assert [row["line"] for row in rows(path) if "problem" in row] == [1]
    assert {row["line"] for row in rows(path)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.csv", None),
        ("empty.csv", b""),
        ("other.csv", b"name,age\nx,7\n"),
        ("head.csv", b"name,age\n"),
        ("latin.csv", b"PatientID\nM\xfcller\n"),
        ("none.parquet", b"PAR1"),
        ("none.json", b"{"),
        ("deep.json", b"[" * 100_000),
    ],
)
def test_what_is_no_list_is_said_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="cannot read the list"):
        list(read(tmp_path / name))


@given(st.binary(max_size=200), st.sampled_from(("csv", "json", "parquet")))
def test_any_bytes_are_a_list_or_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, form: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"list.{form}"
    path.write_bytes((b"PatientID,instances\n" if form == "csv" else b"") + content)
    with suppress(UsageError):
        assert all(rows.column("line").null_count == 0 for rows in read(path))


def test_digest_is_that_of_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("PatientID\nA\n")
    first = digest(path)
    path.write_text("PatientID\nB\n")
    assert digest(path) != first
    assert digest(None) is None
    with pytest.raises(UsageError, match="cannot read"):
        digest(tmp_path / "none")
