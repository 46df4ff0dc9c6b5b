"""What a list names against what is here: the table and the command say the same."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image


def test_table_and_command_tell_what_is_missing_incomplete_and_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for series, n in (("1.2.1", 2), ("1.2.2", 1), ("1.2.3", 1)):
        for number in range(n):
            write_image(
                tmp_path / "in" / series / str(number), PatientID="P", StudyInstanceUID="1.2",
                SeriesInstanceUID=series, SOPInstanceUID=f"{series}.{number}",
            )  # fmt: skip
    copy = (tmp_path / "in" / "1.2.1" / "0").read_bytes()
    (tmp_path / "in" / "1.2.1" / "copy").write_bytes(copy)
    listed = tmp_path / "list.csv"
    listed.write_text("SeriesInstanceUID,instances\n1.2.1,2\n1.2.2,6500\n1.2.9,1\n1.2.1,2\n")
    build_direct(
        Settings((str(tmp_path / "in"),), tmp_path / "w", expect=listed), lambda line: None
    )
    told = {
        (2, "1.2.1"): ("complete", 2, 2),
        (3, "1.2.2"): ("incomplete", 6500, 1),
        (4, "1.2.9"): ("missing", 1, 0),
        (5, "1.2.1"): ("invalid", 2, None),
        (None, "1.2.3"): ("unasked", None, 1),
    }

    def by_line(rows: list[dict[str, Any]]) -> dict[Any, Any]:
        return {
            (row["line"], row["SeriesInstanceUID"]): (
                row["state"], row["expected_instances"], row["found_instances"]
            )
            for row in rows
        }  # fmt: skip

    with dicomhouse.open(tmp_path / "w") as opened:
        assert by_line(opened.sql("from expected").to_dicts()) == told
        assert opened.sql("select problem from expected where line = 5").item() == (
            "line 2 names the same"
        )
    at = ("--warehouse", str(tmp_path / "w"))
    for words in (("expect",), ("expect", str(listed))):
        assert main([*words, *at, "--format", "json"]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert by_line([json.loads(line) for line in lines]) == told
    written = BytesIO()
    with TextIOWrapper(written) as out, redirect_stdout(out):
        assert main(["expect", str(listed), *at, "--format", "parquet"]) == 1
        assert by_line(pl.read_parquet(written.getvalue()).to_dicts()) == told
    assert main(["expect", str(listed), *at, "--state", "complete", "--format", "json"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["expect", str(listed), *at]) == 1
    assert "1 of 6,500" in capsys.readouterr().out
    listed.write_text("SeriesInstanceUID\n1.2.1\n1.2.2\n1.2.3\n")
    assert main(["expect", str(listed), *at, "--state", "missing", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
