"""The main job on real studies: what the warehouse holds, and how the commands tell it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml
from building import build_findings, build_tables
from commands import call_cli, run_cli
from comparing import assert_equal_warehouses
from places import PYDICOM_DATA
from projects import READ_BY_RUNS, run_dbt, write_project

import dicomhouse
from dicomhouse.errors import QueryError, StorageError
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import build_cohort, write_image
from dicomhouse.warehouse import database, models
from dicomhouse.warehouse.plan import Compilation


def rows(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    return warehouse.sql(query).to_dicts()


@pytest.fixture
def warehouse(demo: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(demo) as opened:
        yield opened


def test_unit_tests_of_the_models_pass(demo: Path, parsed: Path, tmp_path: Path) -> None:
    project, file = resource("dbt"), tmp_path / "warehouse.duckdb"
    lake = (demo / "current" / "lake").resolve()
    (tmp_path / "lake").symlink_to(lake)  # the views look beside their file
    with closing(Compilation(tmp_path, lambda line: None)) as compilation:
        plan = compilation.plan()
        database.register(file, lake, {}, {}, {}, None, compilation.template())
    with database.modelling(file, plan.settings, tmp_path / "spill") as connection:
        made = models.run(connection, [n for n in plan.nodes if n.kind == "model"], plan.done)
    assert {result.status for result in made.values()} == {"success"}
    done = run_dbt("test", project, tmp_path, "--select", "test_type:unit", parsed=parsed)
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    unit_tests = [r for r in results if r["unique_id"].startswith("unit_test.")]
    written = sum(
        len(yaml.safe_load(text.read_text()).get("unit_tests", []))
        for text in project.rglob("*.yml")
    )
    assert done.returncode == 0, done.stdout
    assert {test["status"] for test in unit_tests} == {"pass"}
    assert len(unit_tests) == written > 0


def test_every_file_on_disk_is_one_row(warehouse: Warehouse) -> None:
    on_disk = sum(1 for p in (PYDICOM_DATA / "test_files").rglob("*") if p.is_file())
    (found,) = rows(warehouse, "select count(*) n, count(distinct file_id) ids from files")
    assert found == {"n": on_disk, "ids": on_disk}


def test_demo_studies_are_three_patients_of_ct_mr_and_cr(warehouse: Warehouse) -> None:
    found = rows(warehouse, """
        select count(distinct patient_key) patients, list(distinct Modality order by Modality) m
        from images where source = 'dicomdirtests' and PatientID in ('77654033', '98890234')
    """)  # fmt: skip
    assert found[0]["m"] == ["CR", "CT", "MR"]


def test_tables_agree_with_the_lake_in_polars(warehouse: Warehouse) -> None:
    for table in ("files", "elements", "images"):
        lazy = getattr(warehouse, table)
        assert isinstance(lazy, pl.LazyFrame)
        (found,) = rows(warehouse, f"select count(*) n from {table}")
        assert lazy.select(pl.len()).collect().item() == found["n"] > 0
    heights = warehouse.images.filter(pl.col("Modality") == "CT").select("Rows").collect()
    assert heights["Rows"].dtype == pl.Int64


def test_duckdb_file_is_readable_by_older_duckdb(demo: Path) -> None:
    with duckdb.connect(str(demo / "warehouse.duckdb"), read_only=True) as connection:
        (tags,) = connection.execute(
            "select tags from duckdb_databases() where database_name = 'warehouse'"
        ).fetchall()[0]
    assert "v1.5" in tags["storage_version"]


def test_warehouse_is_its_owners_alone(demo: Path) -> None:
    for path in [demo, *demo.rglob("*")]:
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path


def test_moved_warehouse_still_answers(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "1")
    build_tables(Settings((str(tmp_path / "in"),), tmp_path / "w"), ())
    query = "select count(*) n from elements"
    with dicomhouse.open(tmp_path / "w") as opened:
        before = rows(opened, query)
    moved = (tmp_path / "w").rename(tmp_path / "moved")
    with dicomhouse.open(moved) as opened:
        assert rows(opened, query) == before
        assert opened.elements.select(pl.len()).collect().item() == before[0]["n"]


def test_writing_queries_are_refused(warehouse: Warehouse) -> None:
    for query in (
        "delete from images", "copy images to 'x.csv'", "select 1; select 2", "selec",
        "explain analyze copy (select 1) to 'x.csv'",
    ):  # fmt: skip
        with pytest.raises(QueryError):
            warehouse.sql(query)


def test_query_that_fails_in_the_rows_tells_no_value_of_theirs(demo: Path) -> None:
    at = ["--warehouse", str(demo)]
    for asked in ("cast(PatientName as int)", "error(PatientName)", "strptime(PatientName, '%Y')"):
        failed = call_cli("sql", *at, f"select {asked} from images where PatientName like 'Doe%'")
        assert failed.returncode == 6
        assert failed.stderr.startswith("dicomhouse: DuckDB: ")
        assert "Traceback" not in failed.stderr
        assert "Archibald" not in failed.stderr
    with dicomhouse.open(demo) as opened, pytest.raises(QueryError, match=r"LINE 1.*PatientName"):
        opened.sql("select cast(PatientName as int) from images")
    unknown = call_cli("sql", *at, "select PatientNam from images")
    assert "Candidate bindings" in unknown.stderr.splitlines()[1]


def test_columns_of_one_name_are_all_there(demo: Path) -> None:
    asked = "select 1 as a, 2 as a, 3 as a_1, sum(n) as n from range(3) as numbers (n)"
    for form, told in {
        "csv": "a,a_2,a_1,n\n1,2,3,3\n",
        "json": '{"a": 1, "a_2": 2, "a_1": 3, "n": 3}\n',
        "table": "a  a_2  a_1  n\n-  ---  ---  -\n1  2    3    3\n",
    }.items():
        assert call_cli("sql", "--warehouse", str(demo), asked, "--format", form).stdout == told
    with dicomhouse.open(demo) as opened:
        assert rows(opened, asked) == [{"a": 1, "a_2": 2, "a_1": 3, "n": 3}]


def test_warehouse_that_is_open_for_writing_elsewhere_is_told(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "1")
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    build_tables(settings, ())
    write_image(tmp_path / "in" / "2", InstanceNumber=2)
    program = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "w" / "warehouse.duckdb"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdin and other.stdout
        other.stdout.readline()
        with pytest.raises(StorageError, match="open for writing in another program"):
            build_direct(settings, lambda line: None)
        with dicomhouse.open(tmp_path / "w") as opened, pytest.raises(StorageError):
            opened.sql("select 1")
        other.communicate(b"\n")
    build_tables(settings, ())


def test_output_that_cannot_be_written_is_told(demo: Path) -> None:
    command = [sys.executable, "-m", "dicomhouse", "sql", "select 1", "--warehouse", str(demo)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        5, "dicomhouse: cannot write the output: No space left on device.\n",
    )  # fmt: skip


def test_commands_answer_with_their_exit_codes(demo: Path, tmp_path: Path) -> None:
    at = ["--warehouse", str(demo)]
    found = call_cli("sql", *at, "--format", "json", "select 1 as one")
    assert (found.returncode, json.loads(found.stdout)) == (0, {"one": 1})
    assert call_cli("sql", *at, "--report", "overview").returncode == 0
    check = call_cli("check", *at)
    assert check.returncode == 1
    assert "file_truncated" in check.stdout
    assert call_cli("check", *at, "--severity", "I").returncode == 0
    status = call_cli("status", *at)
    assert "pixel_data_ends" in status.stdout
    assert call_cli("sql", *at).returncode == 2
    assert call_cli("sql", *at, "--report", "nothing").returncode == 2
    assert call_cli("sql", *at, "drop table images").returncode == 6
    assert call_cli("check", "--warehouse", str(tmp_path)).returncode == 3
    elsewhere = ("--warehouse", str(tmp_path / "w"))  # else it would be noted in the others' own
    assert run_cli("build", str(tmp_path / "nowhere"), *elsewhere).returncode == 2


def test_light_commands_import_no_heavy_library(demo: Path) -> None:
    program = (
        "import sys; from dicomhouse.cli import main; main(sys.argv[1:]);"
        "print(sorted({'dbt', 'prefect', 'pydicom', 'polars', 'highdicom'} & set(sys.modules)))"
    )
    for command in (["sql", "select 1"], ["status"], ["check"], ["tag", "KVP"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *command, "--warehouse", str(demo)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "[]"


def test_direct_build_imports_neither_dbt_nor_prefect_nor_decoders(
    demo: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "in" / "1")
    program = (
        "import sys; from dicomhouse.cli import main; main(sys.argv[1:]);"
        "print(sorted({'dbt', 'prefect', 'polars', 'highdicom', 'yaml', 'PIL', 'openjpeg', 'rle', "
        "'nibabel', 'imagecodecs', 'dicomhouse.pixels'} & set(sys.modules)))"
    )
    words = ("build", str(tmp_path / "in"), "--direct", "--warehouse", str(tmp_path / "w"))
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True,
        env={**os.environ, "DICOMHOUSE_SUPERVISED": "1"},
    )  # fmt: skip
    assert "dbt nodes in" in done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_bad_input_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "warehouse"
    source.mkdir()
    empty = run_cli("build", str(source), "--direct", "--warehouse", str(target))
    assert empty.returncode == 2
    assert "no files below" in empty.stderr
    (source / "note.dcm").write_text("not an image")
    (source / "zero.dcm").touch()
    (source / "gone").symlink_to(source / "nowhere")
    settings = Settings((str(source),), target)
    build_direct(settings, lambda line: None)
    write_image(source / "p" / "good.dcm")
    whole = (source / "p" / "good.dcm").read_bytes()
    (source / "p" / "cut.dcm").write_bytes(whole[:-10])
    (source / "p" / "locked.dcm").write_bytes(whole)
    (source / "p" / "locked.dcm").chmod(0)
    build_findings(settings)
    with dicomhouse.open(target) as opened:
        found = {row["path"]: row["status"] for row in rows(opened, "from files")}
    locked = "unreadable" if os.geteuid() else found["p/locked.dcm"]  # root may read all
    assert found == {
        "gone": "unreadable", "note.dcm": "not_dicom", "p/cut.dcm": "truncated",
        "p/good.dcm": "ok", "p/locked.dcm": locked, "zero.dcm": "empty",
    }  # fmt: skip


def test_readers_keep_their_generation_while_others_are_published(tmp_path: Path) -> None:
    for slices in (8, 9, 10, 11):
        build_cohort(tmp_path / f"in{slices}", patients=1, slices=slices)
    target = tmp_path / "w"
    build_tables(Settings((f"in={tmp_path / 'in8'}",), target), ["frames"])
    with dicomhouse.open(target) as reader:
        lazy = reader.elements.filter(pl.col("keyword") == "SOPInstanceUID").select(pl.len())
        for slices in (9, 10, 11):
            build_tables(Settings((f"in={tmp_path / f'in{slices}'}",), target), ["frames"])
            assert lazy.collect().item() == 8
            assert rows(reader, "select count(*) n from elements where path = 'Rows'") == [{"n": 8}]
            assert rows(reader, "select count(*) n from frames") == [{"n": 8}]
            with dicomhouse.open(target) as newer:
                assert rows(newer, "select count(*) n from images") == [{"n": slices}]
    assert sorted(f.name for f in (target / "generations").iterdir()) == [
        "000001", "000003", "000004",
    ]  # fmt: skip
    with dicomhouse.open(target, generation=3) as older:
        assert rows(older, "select count(*) n from images") == [{"n": 10}]


def test_failed_model_names_itself_and_leaves_the_published_warehouse(tmp_path: Path) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=3)
    at = ["--direct", "--warehouse", str(tmp_path / "w")]
    build_findings(Settings((str(tmp_path / "in"),), tmp_path / "w"))
    broken = write_project(
        tmp_path / "dbt", {"patients": "select * from nowhere_at_all"}, READ_BY_RUNS
    )
    done = run_cli("build", str(tmp_path / "in"), *at, DICOMHOUSE_DBT=str(broken))
    assert done.returncode == 1
    assert "model patients (error)" in done.stderr
    with dicomhouse.open(tmp_path / "w") as opened:
        assert opened.generation.number == 1
        assert rows(opened, "select count(*) n from patients") == [{"n": 1}]


def test_planted_defects_are_found_and_nothing_else(tmp_path: Path) -> None:
    planted = {
        "missing_slice": "missing_slices", "duplicate_instance": "duplicate_instance_identical",
        "duplicate_position": "duplicate_position", "mixed_matrix": "mixed_matrix",
        "mixed_pixel_spacing": "mixed_pixel_spacing", "mixed_orientation": "mixed_orientation",
        "instance_number_gap": "instance_number_gap",
        "two_series_in_folder": "folder_multiple_series",
        "two_studies_in_series": "series_in_multiple_studies",
        "mixed_rescale": "mixed_rescale", "mixed_kernel": "mixed_kernel",
        "another_patient_name": "patient_attribute_inconsistent",
        "another_manufacturer": "equipment_attribute_inconsistent",
        "invalid_uid": "uid_invalid", "invalid_element": "element_invalid",
        "short_pixels": "pixel_length_mismatch",
    }  # fmt: skip
    cohort = build_cohort(
        tmp_path / "in", patients=len(planted) + 2, slices=20,
        defects=[(defect, patient) for patient, defect in enumerate(planted)],
    )  # fmt: skip
    build_findings(Settings((str(tmp_path / "in"),), tmp_path / "w"))
    with dicomhouse.open(tmp_path / "w") as opened:
        found = rows(opened, """
            select f.rule, split_part(f.offenders[1], '/', 1) as patient
            from findings f where (severity <> 'I' or rule in
            ('duplicate_instance_identical', 'instance_number_gap', 'folder_multiple_series'))
            and rule <> 'type2_missing' -- headers like OSIC's lack these by nature
        """)  # fmt: skip
        (counts,) = rows(opened, "select count(*) n from images")
    assert counts["n"] == cohort.n_images
    by_patient: dict[str, set[str]] = {}
    for row in found:
        by_patient.setdefault(row["patient"], set()).add(row["rule"])
    for defect, rule in planted.items():
        rules = by_patient.pop(cohort.affected(defect)[0].split("/")[0])
        assert rules == {rule}, defect
    assert by_patient == {}


def test_steps_are_held_against_their_own_group(tmp_path: Path) -> None:
    stacks = {
        "even": [2.5] * 6, "gap": [1, 1, 1, 2, 1, 1, 1], "jump": [1, 1, 1, 2, 3, 3, 3],
        "jitter": [5, 5, 5, 5.2, 5, 5],
    }  # fmt: skip
    for name, steps in stacks.items():
        for number, position in enumerate(accumulate(steps, initial=0.0)):
            write_image(
                tmp_path / "in" / name / f"{number:02}",
                PatientID=name,
                InstanceNumber=number,
                ImagePositionPatient=[0, 0, position],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            )
    build_findings(Settings((str(tmp_path / "in"),), tmp_path / "w"))
    with dicomhouse.open(tmp_path / "w") as opened:
        found = rows(opened, """
            select series.folder, findings.rule, findings.measured
            from findings inner join series using (series_key)
            where rule in ('missing_slices', 'mixed_spacing', 'irregular_spacing')
            order by all
        """)  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        ("gap", "missing_slices", 1),
        ("jitter", "irregular_spacing", 1),
        ("jump", "mixed_spacing", 2),
    ]


def test_order_of_sources_batches_and_workers_change_nothing(tmp_path: Path) -> None:
    build_cohort(tmp_path / "a", patients=3, slices=9)
    build_cohort(tmp_path / "b", patients=2, slices=8, profile="hospital", seed=5)
    one, two = tmp_path / "one", tmp_path / "two"
    sources = (str(tmp_path / "a"), str(tmp_path / "b"))
    build_direct(Settings(sources, one, jobs=1), lambda line: None)
    build_direct(Settings(sources[::-1], two, jobs=3, batch_files=4), lambda line: None)
    assert_equal_warehouses(one, two)
