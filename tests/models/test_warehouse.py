"""A warehouse as Python and the command line open it: tables that say what they are."""

from __future__ import annotations

import gc
import pydoc
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from commands import call_cli

import dicomhouse
from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.warehouse.database import query


@pytest.fixture(scope="module")
def warehouse(demo: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(demo) as opened:
        yield opened


def test_every_table_and_column_has_a_comment(warehouse: Warehouse) -> None:
    """Also in plain DuckDB: those of `images` that the data bring are the dictionary's names.

    The view `dicom_all` has the same columns without them.
    """
    tables = warehouse.tables
    assert tables["description"].null_count() == 0
    undescribed = warehouse.sql(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name = 'main' and comment is null and database_name = current_database() "
        "and not internal and table_name <> 'dicom_all'"
    )
    assert undescribed.rows() == []
    described = dict(warehouse.columns("images").select("name", "description").rows())
    assert described["KVP"] == "KVP (00180060, DS)"
    assert len(described) > 200


def test_every_table_is_an_attribute(warehouse: Warehouse) -> None:
    names = warehouse.tables["name"].to_list()
    assert {"series", "findings", "pixel_stats", "images"} <= set(names)
    assert set(names) <= set(dir(warehouse))
    for name in names:
        table = getattr(warehouse, name)
        assert isinstance(table, pl.LazyFrame), name
        assert set(warehouse.columns(name)["name"]) >= set(table.collect_schema().names()) - {
            "source", "Modality",
        }, name  # fmt: skip
    counted = warehouse.series.select(pl.len()).collect().item()
    assert counted == warehouse.sql("select count(*) from series").item()


def test_filters_reach_duckdb(warehouse: Warehouse) -> None:
    lazy = warehouse.findings.filter(pl.col("severity") == "E").select("rule")
    expected = warehouse.sql("select rule from findings where severity = 'E'")
    assert sorted(lazy.collect()["rule"]) == sorted(expected["rule"])


def test_help_says_what_a_table_holds(warehouse: Warehouse) -> None:
    for name, column in (("series", "is_volume"), ("images", "KVP")):
        described = dict(warehouse.columns(name).select("name", "description").rows())
        text = pydoc.render_doc(getattr(warehouse, name), renderer=pydoc.plaintext)
        assert f"{column} (" in text
        assert all(what in text for what in described.values())


def test_charts_count_what_is_there(warehouse: Warehouse) -> None:
    """And are drawn without the network; each is an Altair chart to go on with."""
    counts = {
        "stacks": (warehouse.plot.spacing(), "select count(spacing_median) from series_geometry"),
        "images": (warehouse.plot.tag("modality"), "select count(Modality) from images"),
        "patients": (warehouse.plot.slices_per_patient(), "select count(*) from patients"),
        "series": (
            warehouse.plot.scanners_by_month(),
            "select count(distinct (source, series_key, StudyDate, Manufacturer, "
            "ManufacturerModelName)) from images",
        ),
    }
    for column, (chart, counted) in counts.items():
        assert chart.data[column].sum() == warehouse.sql(counted).item()
        bundle = chart.properties(width=200)._repr_mimebundle_()
        (drawn,) = bundle if isinstance(bundle, tuple) else (bundle,)
        assert drawn["image/svg+xml"].startswith("<svg"), column
    source = warehouse.images.select("source").first().collect().item()
    of_one = warehouse.plot.slices_per_patient(source=source).data
    assert of_one["source"].unique().to_list() == [source]


def test_chart_of_a_tag_shows_the_commonest_values(warehouse: Warehouse) -> None:
    numbers = warehouse.plot.tag("KVP").data["value"].cast(float).to_list()
    assert numbers == sorted(numbers)
    few = warehouse.plot.tag("SOPInstanceUID", top=3)
    assert few.data.height == 3
    assert few.title.startswith("SOPInstanceUID: 3 of ")
    with pytest.raises(UsageError, match="no image has a value of Nothing"):
        warehouse.plot.tag("Nothing")


def test_chart_of_a_tag_counts_the_values_that_tables_leave_out() -> None:
    asked = resource("sql", "plots", "tag.sql").read_text()
    with duckdb.connect() as connection:
        connection.execute("""
            create schema intermediate;
            create table intermediate.int_source_path_values as
            select 's' || n % 2 as source, '(all)' as scope, 'SOPInstanceUID' as path,
                '1.2.' || n as value, false as is_empty, 1 as images
            from range(3000) as t (n)
        """)
        chosen = {"path": "SOPInstanceUID", "source": None, "top": 3}
        rows = query(connection, asked, chosen).to_pylist()
    assert [row["distinct_values"] for row in rows] == [3000] * 3


def test_absent_altair_is_told(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.delitem(sys.modules, "dicomhouse.plots", raising=False)
    with pytest.raises(UsageError, match=r"altair is not installed: .*dicomhouse\[notebook\]"):
        _ = warehouse.plot


def test_warehouse_says_what_is_in_it(warehouse: Warehouse) -> None:
    images = warehouse.sql("select count(*) from images").item()
    assert f"{images:,} images" in repr(warehouse)
    page = warehouse._repr_html_()
    assert "<code>series_geometry</code>" in page
    assert f"{images:,} images" in page


def test_unknown_names_are_told(warehouse: Warehouse) -> None:
    with pytest.raises(AttributeError, match="no table or attribute serieses"):
        _ = warehouse.serieses
    with pytest.raises(UsageError, match="no table serieses; the nearest: series"):
        warehouse.columns("serieses")
    with pytest.raises(UsageError, match="no table xyz; there are: conformance"):
        warehouse.columns("xyz")
    with pytest.raises(UsageError, match="no report nothing; there are: "):
        warehouse.report("nothing")


def test_report_answers_a_kept_question_and_ones_own(warehouse: Warehouse, tmp_path: Path) -> None:
    kept = warehouse.report("volumes")
    assert {"is_volume", "why_not"} <= set(kept.columns)
    own = tmp_path / "mine.sql"
    own.write_text(
        "-- Images of a modality.\n-- param modality (needed): such as CT\n"
        "select count(*) as n from images where Modality = getvariable('modality')"
    )
    expected = warehouse.sql("select count(*) from images where Modality = 'CT'").item()
    assert warehouse.report(str(own), modality="CT")["n"].to_list() == [expected]
    with pytest.raises(UsageError, match="mine needs --param modality"):
        warehouse.report(str(own))
    with pytest.raises(UsageError, match="cannot read the report"):
        warehouse.report(str(tmp_path / "gone.sql"))


def test_closed_warehouse_says_so(demo: Path) -> None:
    opened = dicomhouse.open(demo)
    opened.close()
    opened.close()
    assert "closed" in repr(opened)
    for use in (lambda: opened.images, lambda: opened.series, lambda: opened.sql("select 1")):
        with pytest.raises(UsageError, match="closed; open it again"):
            use()


def test_forgotten_warehouse_leaves_no_warning(demo: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = dicomhouse.open(demo)
        opened.sql("select 1")
        del opened
        gc.collect()


def test_sql_reads_standard_input_and_writes_a_file(demo: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    words = ["sql", "-", "--format", "csv", "--output", str(target), "--warehouse", str(demo)]
    done = subprocess.run(
        [sys.executable, "-m", "dicomhouse", *words], input="select [1, 2] as several, 'é' as text",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert target.read_text(encoding="utf-8") == 'several,text\n"[1, 2]",é\n'
    assert target.stat().st_mode & 0o777 == 0o600
    parquet = tmp_path / "rows.parquet"
    words = ["--report", "volumes", "--format", "parquet", "--output", str(parquet)]
    assert call_cli("sql", *words, "--warehouse", str(demo)).returncode == 0
    assert "is_volume" in pl.read_parquet(parquet).columns
    there = call_cli("sql", "select 1", "--output", str(tmp_path), "--warehouse", str(demo))
    assert (there.returncode, there.stderr.startswith("dicomhouse: cannot write ")) == (5, True)


def test_package_is_typed() -> None:
    assert (Path(dicomhouse.__file__).parent / "py.typed").exists()


def test_views_of_a_copy_read_the_lake_beside_it(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In plain DuckDB, opened from anywhere, though the copy's first place is gone."""
    original = shutil.copytree(demo, tmp_path / "first", symlinks=True)
    copy = shutil.copytree(original, tmp_path / "a [copy] of *", symlinks=True)
    shutil.rmtree(original)
    query = "select count(*), count(distinct source) from elements"
    with dicomhouse.open(demo) as opened:
        expected = opened.sql(query).rows()
    monkeypatch.chdir(tmp_path)
    for path in (copy / "warehouse.duckdb", f"{copy.name}/current/warehouse.duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            assert connection.execute(query).fetchall() == expected
    with dicomhouse.open(copy) as opened:
        assert opened.sql(query).rows() == expected


def test_variable_tells_an_attached_warehouse_its_lake(demo: Path) -> None:
    """Where DuckDB's own file is another, no function tells where the attached one lies."""
    query = "select count(*) from warehouse.elements"
    with dicomhouse.open(demo) as opened:
        expected = opened.sql("select count(*) from elements").rows()
    with duckdb.connect() as connection:
        connection.execute(f"attach '{demo}/warehouse.duckdb' as warehouse (read_only)")
        with pytest.raises(duckdb.IOException):  # the fixture was moved after it was made
            connection.execute(query)
        connection.execute("set variable dicomhouse_lake = ?", [f"{demo}/lake"])
        assert connection.execute(query).fetchall() == expected


def test_sql_tells_where_a_file_lies(warehouse: Warehouse) -> None:
    rows = warehouse.sql("select source, path, absolute_path(source, path) from files").rows()
    assert len(rows) > 100
    for source, path, told in rows:
        assert told == str(warehouse.absolute_path(source, path))
        assert Path(told).is_file()
