"""The report shows what the warehouse holds, and texts from files as texts."""

from __future__ import annotations

from pathlib import Path

from commands import run_cli

from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import build_cohort, write_image

HOSTILE = "<script>alert(1)</script><b title='x\"y'>"


def test_report_shows_findings_series_and_tags(tmp_path: Path) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=9, defects=[("missing_slice", 1)])
    build_direct(Settings((str(tmp_path / "in"),), tmp_path / "w"), lambda line: None)
    page = (tmp_path / "w" / "report" / "index.html").read_text()
    for shown in ("missing_slices", "RescaleIntercept", "varies by image", "<b>17</b>files ok"):
        assert shown in page
    told = run_cli("report", "--warehouse", str(tmp_path / "w"), "--output", str(tmp_path / "r"))
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "r").read_text() == page


def test_text_from_files_is_never_markup(tmp_path: Path) -> None:
    for path in ("<i>p</i>/1", "<i>p</i>/2"):
        write_image(
            tmp_path / "<in>" / path, SeriesDescription=HOSTILE, PatientID=HOSTILE,
            InstanceNumber=int(path[-1]), SpecificCharacterSet="ISO_IR 192",
            StudyDescription="\u202egpj\u200b\N{IDEOGRAPHIC SPACE}\N{CJK UNIFIED IDEOGRAPH-5C71}",
        )  # fmt: skip
    build_direct(Settings((str(tmp_path / "<in>"),), tmp_path / "w"), lambda line: None)
    page = (tmp_path / "w" / "report" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "\\u202egpj\\u200b\N{IDEOGRAPHIC SPACE}" in page
    for markup in ("<script", "<b title", "<i>p", "<in>"):
        assert markup not in page
