"""The report holds what the warehouse holds, and without values nothing that may identify."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import call_cli
from places import ROOT
from reports import HOSTILE, PLANTED

import dicomhouse

VENDOR = ROOT / "src" / "dicomhouse" / "report" / "vendor"


def _sections(page: str) -> dict[str, Any]:
    """The data of a page, each section a list of rows."""
    section = re.compile(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', re.S)
    return {name: _rows(json.loads(text)) for name, text in section.findall(page)}


def _rows(section: dict[str, Any]) -> Any:
    if "columns" not in section:
        return section
    return [dict(zip(section["columns"], row, strict=True)) for row in section["rows"]]


def _texts(value: Any) -> Iterator[str]:
    """All texts in what JSON holds, but for names of fields."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            yield from _texts(list(value.values()))


@pytest.fixture(scope="module")
def page(reported: Path) -> str:
    return (reported / "report" / "index.html").read_text()


def test_report_holds_findings_series_and_tags(page: str) -> None:
    shown = _sections(page)
    rules = {row["rule"]: row for row in shown["rules"]}
    assert rules["missing_slices"]["errors"] == 1
    assert "slices" in rules["missing_slices"]["what_to_do"]
    (stack,) = (row for row in shown["stacks"] if row["missing_slices"])
    assert [missing for _, _, missing in stack["steps"] if missing] == [1]
    assert sum(steps for _, steps, _ in stack["steps"]) == stack["positions"] - 1
    tags = {(row["source_number"], row["path"]): row for row in shown["tags"]}
    sop = next(row for (_, path), row in tags.items() if path == "SOPInstanceUID")
    assert sop["verdict"] == "identifier" and sop["name"] == "SOP Instance UID"
    assert "innolitics" in sop["link_innolitics"]
    assert sum(row["images"] for row in shown["sources"]) == shown["runs"][0]["images"]
    assert [row["status"] for row in shown["files"]] == ["not_dicom"]


def test_changes_of_the_run_are_told(page: str) -> None:
    shown = _sections(page)
    changes = {(row["entity"], row["change"]): row for row in shown["changes"]}
    assert changes["file", "added"]["examples"] == [["plantedfolder/4.dcm", None, "ok"]]
    assert changes["series", "changed"]["changed"] == 1
    assert [row["generation"] for row in shown["runs"]] == [2, 1]


def test_an_element_of_a_repeating_group_has_its_name_and_page(demo: Path) -> None:
    shown = _sections((demo / "report" / "index.html").read_text())
    rows = next(row for row in shown["tags"] if row["path"] == "60000010")
    assert rows["name"] == "Overlay Rows"
    assert "/overlay-plane/" in rows["link_innolitics"]
    for row in shown["tags"]:  # the page is that of the module that is named
        assert f"/{row['module']}/" in (row["link_innolitics"] or f"/{row['module']}/"), row


def test_every_bar_and_bin_counts_the_images(page: str) -> None:
    shown = _sections(page)
    tags = {row["path_number"]: row for row in shown["tags"]}
    assert shown["values"] and shown["histograms"]
    for row in shown["values"]:
        assert sum(row["images"]) == tags[row["path_number"]]["present"], tags[row["path_number"]]
    for row in shown["histograms"]:
        assert sum(images for _, images in row["bins"]) <= tags[row["path_number"]]["present"]


def test_text_from_files_is_never_markup(page: str) -> None:
    assert HOSTILE.replace("<", "\\u003c") in page.replace('\\"', '"')
    for markup in ("<script>alert", "<img src"):
        assert markup not in page


def test_policy_names_every_script_and_the_style_by_hash(page: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert "unsafe" not in policy and policy.startswith("default-src 'none'")
    texts = re.findall(r"<script>(.*?)</script>", page, re.S)
    texts += re.findall(r"<style>(.*?)</style>", page, re.S)
    assert len(texts) == 3
    for text in texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_nothing_is_asked_for_from_outside(page: str) -> None:
    head, *_ = page.split("<script")
    assert not re.search(r"(src|href)=\"?https?:|url\(|@import", head)


def test_without_values_nothing_planted_is_left(reported: Path, tmp_path: Path) -> None:
    words = ("report", "--warehouse", str(reported), "--no-values")
    assert call_cli(*words).returncode == 2
    told = call_cli(*words, "--output", str(tmp_path / "page.html"))
    assert told.returncode == 0, told.stderr
    page = (tmp_path / "page.html").read_text()
    full = (reported / "report" / "index.html").read_text()
    for planted in PLANTED:
        assert planted in full, planted
        assert planted not in page, planted
    with_values, without = _sections(full), _sections(page)
    for kept in ("rules", "modules"):
        assert with_values[kept] == without[kept]
    for counted in ("series", "patients", "stacks"):
        assert len(with_values[counted]) == len(without[counted])
    with dicomhouse.open(reported) as warehouse:
        free = warehouse.sql("""
            select distinct value from elements
            where
                vr in ('AE', 'AS', 'DA', 'LO', 'LT', 'PN', 'SH', 'ST', 'TM', 'UI')
                and len(value) > 2
        """)
    told = set(_texts([without[name] for name in ("series", "patients", "values", "varying")]))
    told |= set(_texts([row["examples"] for row in without["tags"]]))
    told |= set(_texts([row["tag_values"] for row in without["patient_tags"]]))
    assert told and not told & set(free["value"])
    levels = {row["path"] for row in without["tags"]}
    assert {"PatientName", "KVP", "StudyDate"} <= levels
    assert next(row for row in without["tags"] if row["path"] == "KVP")["examples"]


def test_pictures_are_shown_or_missed_with_a_reason(reported: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    words = ("report", "--warehouse", str(reported), "--pictures", "9")
    told = call_cli(*words, "--output", str(tmp_path / "page.html"))
    assert told.returncode == 0, told.stderr
    shown = _sections((tmp_path / "page.html").read_text())
    series = {row["series_number"]: row for row in shown["series"]}
    seen = [row for row in shown["pictures"] if row["url"]]
    assert {row["what"] for row in seen} == {"mid planes", "montage"}
    assert {series[row["series_number"]]["is_volume"] for row in seen} == {True}
    content = base64.b64decode(seen[0]["url"].removeprefix("data:image/webp;base64,"))
    assert content[8:12] == b"WEBP"
    (missed,) = (row for row in shown["pictures"] if not row["url"])
    assert series[missed["series_number"]]["folder"] == "short" and "slice 1" in missed["what"]


@pytest.mark.parametrize("folder", [VENDOR, ROOT / "tests" / "vendor"], ids=["report", "tests"])
def test_libraries_are_what_their_list_says(folder: Path) -> None:
    for name, library in json.loads((folder / "vendor.json").read_text()).items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == library["sha256"], name
        assert (folder / library["licence"]).exists()
        assert b"</script" not in content
