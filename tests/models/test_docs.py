"""`dicomhouse docs`: dbt's page of a generation, in one file."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from commands import call_cli

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.resources import resource
from dicomhouse.warehouse.docs import page


@pytest.fixture(scope="module")
def html(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("docs") / "tables.html"
    before = sorted(demo.resolve().rglob("*"))
    done = call_cli("docs", "--warehouse", str(demo), "--output", str(target))
    assert done.stdout == f"{target}\n", done.stderr
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(demo.resolve().rglob("*")) == before
    return target.read_text(encoding="utf-8")


def inlined(html: str, name: str) -> dict[str, Any]:
    found = re.search(rf"\b{name}:(?=\{{)", html)
    assert found is not None
    told: dict[str, Any] = json.JSONDecoder().raw_decode(html, found.end())[0]
    return told


def test_page_holds_tables_columns_tests_and_lineage(html: str, demo: Path) -> None:
    manifest, catalog = inlined(html, "manifest"), inlined(html, "catalog")
    with dicomhouse.open(demo) as warehouse:
        tables = {row["name"]: row for row in warehouse.tables.to_dicts()}
        assert len(tables) > 25
        for name, row in tables.items():
            unique_id = f"model.dicomhouse.{name}"
            entry = catalog["nodes"][unique_id]
            assert list(entry["columns"]) == warehouse.columns(name)["name"].to_list()
            assert manifest["nodes"][unique_id]["description"].strip()
            if row["rows"] is not None:
                assert entry["stats"]["row_count"]["value"] == row["rows"]
    assert {"report", "named_reports", "python"} == {
        exposure["name"] for exposure in manifest["exposures"].values()
    }
    assert any(name.startswith("test.") for name in manifest["nodes"])
    assert manifest["parent_map"]["model.dicomhouse.series"]
    files = manifest["sources"]["source.dicomhouse.lake.files"]
    assert files["freshness"]["warn_after"] == {"count": 2, "period": "day"}


def test_page_asks_nothing_of_any_other_place(html: str) -> None:
    """A policy keeps a browser from it; dbt's own counting is off besides."""
    assert "default-src 'none'" in html.split("<script", 1)[0]
    assert inlined(html, "manifest")["metadata"]["send_anonymous_usage_stats"] is False


def test_page_names_no_folder_of_this_machine(html: str, demo: Path) -> None:
    assert str(demo.parent) not in html
    assert str(resource("dbt")) not in html
    assert "/plans/" not in html


def test_text_of_a_database_ends_no_script(demo: Path) -> None:
    script = "</script><script>alert(1)</script>"
    manifest = {
        "metadata": {}, "sources": {},
        "nodes": {"model.x.series": {"schema": "main", "alias": "series", "description": script}},
    }  # fmt: skip
    with dicomhouse.open(demo) as warehouse:
        html = page(json.dumps(manifest).encode(), warehouse.connection).decode()
    assert "<script>alert(1)" not in html
    assert inlined(html, "manifest")["nodes"]["model.x.series"]["description"] == script


def test_page_that_cannot_be_written_is_told(demo: Path, tmp_path: Path) -> None:
    done = call_cli("docs", "--warehouse", str(demo), "--output", str(tmp_path))
    assert (done.returncode, done.stderr.startswith("dicomhouse: cannot write ")) == (5, True)


def test_absent_dbt_is_told(
    demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    assert main(["docs", "--warehouse", str(demo)]) == 2
    assert capsys.readouterr().err.startswith("dicomhouse: dbt is not installed: pip install ")
