"""The compiled plan against dbt itself, and the cache that it lies in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from places import PYDICOM_DATA
from projects import run_dbt, write_project

from dicomhouse.cache import NotOurs, cache_folder, open_own, own_folder
from dicomhouse.dicom.bounds import Budget
from dicomhouse.errors import ModelsFailed
from dicomhouse.resources import resource
from dicomhouse.run.build import Plainly, make_lake
from dicomhouse.run.context import Run, begin
from dicomhouse.run.extract import Lake
from dicomhouse.run.plan import prepare
from dicomhouse.run.publish import record
from dicomhouse.settings import Settings
from dicomhouse.testing import build_cohort
from dicomhouse.testing.defects import Defect
from dicomhouse.warehouse import database, models
from dicomhouse.warehouse.pixels import digest_repeated
from dicomhouse.warehouse.plan import Compilation, Plan, load

Ready = tuple[Run, Lake]
Outcome = tuple[str, str, str]
"""Kind, name and status of a node."""


@pytest.fixture(scope="module")
def run(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """A run that has read its sources: real studies, pydicom's files, all defects."""
    folder = tmp_path_factory.mktemp("plan")
    planted = [(defect, patient) for patient, defect in enumerate(Defect)]
    build_cohort(folder / "cohort", patients=len(planted), slices=8, defects=planted)
    sources = (*map(str, filter(Path.is_dir, sorted(shared_data.iterdir()))),
               str(PYDICOM_DATA / "test_files"), str(folder / "cohort"))  # fmt: skip
    settings = Settings(sources, folder / "w", tolerances={"sheared_stack": 1.5})
    with begin(settings, lambda line: None) as run:
        work = prepare(run)
        assert work is not None
        yield run, make_lake(run, work, Plainly())


class TestAgainstDbt:
    """One lake through both: every table, every view, and how every node ended."""

    @staticmethod
    def registered(ready: Ready, folder: Path, template: bytes | None) -> Path:
        """The run's lake in a DuckDB file of its own, before the models."""
        path = folder / "warehouse.duckdb"
        run, lake = ready
        (folder / "lake").symlink_to(run.generation.lake)  # the views look beside their file
        told = {**record(run, lake), "finished_at": None}
        words = (run.generation.lake, run.settings.tolerances, {}, told, None)
        database.register(path, *words, template)
        folders = {source.name: source.address for source in run.sources}
        digest_repeated(path, run.generation.lake, folders, None, 2, Budget())
        return path

    @staticmethod
    def through_dbt(folder: Path, project: Path, parsed: Path) -> list[Outcome]:
        without = ("--exclude-resource-type", "unit_test", "exposure")
        run_dbt("build", project, folder, *without, parsed=parsed)
        told = json.loads((folder / "run_results.json").read_text())["results"]
        parts = [(result["unique_id"].split("."), result["status"]) for result in told]
        return sorted((names[0], names[2], status) for names, status in parts)

    @staticmethod
    def through_plan(path: Path, plan: Plan, threads: int) -> list[Outcome]:
        with database.modelling(path, plan.settings, path.with_name("spill")) as connection:
            results = plan.done | models.run(connection, plan.nodes, plan.done, threads=threads)
        return sorted((result.kind, result.name, result.status) for result in results.values())

    def test_both_make_the_same_tables_and_outcomes(
        self, run: Ready, parsed: Path, tmp_path: Path
    ) -> None:
        for name in ("dbt", "plan"):
            (tmp_path / name).mkdir()
        compilation = Compilation(tmp_path, lambda line: None)
        by_plan = self.registered(run, tmp_path / "plan", compilation.template())
        by_dbt = self.registered(run, tmp_path / "dbt", None)
        outcomes = self.through_plan(by_plan, compilation.plan(), threads=2)
        assert outcomes == self.through_dbt(tmp_path / "dbt", resource("dbt"), parsed)
        assert {status for _, _, status in outcomes} == {"success", "pass"}
        assert_equal_databases(by_plan, by_dbt)

    def test_both_end_alike_where_something_fails(
        self, run: Ready, parsed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project = tmp_path / "project"
        shutil.copytree(resource("dbt"), project, ignore=shutil.ignore_patterns("target", "logs"))
        summaries = project / "models" / "summaries"
        (summaries / "patients.sql").write_text("select * from nowhere_at_all")
        (summaries / "hidden.sql").write_text(
            "{{ config(materialized='ephemeral') }}\nselect source from {{ ref('files') }}"
        )
        (summaries / "shown.sql").write_text("select * from {{ ref('hidden') }}")
        rows = "select source from {{ ref('studies') }}"
        planted = {
            "fails": f"{rows}",
            "warns": "{{ config(severity='warn') }}" + rows,
            "warns_below": "{{ config(error_if='>1000000') }}" + rows,
            "is_limited": "{{ config(limit=1, error_if='>1') }}" + rows,
            "is_calculated": "{{ config(fail_calc='sum(n)') }} select 0 as n",
            "sees_the_hidden": "select source from {{ ref('hidden') }}",
            "stops_the_levels": "select source from {{ ref('tag_values') }}",
            "waits_in_vain": "select source from {{ ref('patients') }}",
        }
        for name, sql in planted.items():
            (project / "tests" / f"{name}.sql").write_text(sql)
        monkeypatch.setenv("DICOMHOUSE_DBT", str(project))
        for name in ("dbt", "plan"):
            (tmp_path / name).mkdir()
        compilation = Compilation(tmp_path, lambda line: None)
        by_plan = self.registered(run, tmp_path / "plan", compilation.template())
        self.registered(run, tmp_path / "dbt", None)
        outcomes = self.through_plan(by_plan, compilation.plan(), threads=2)
        assert outcomes == self.through_dbt(tmp_path / "dbt", project, parsed)
        ended = {name: status for _, name, status in outcomes}
        assert {name: ended[name] for name in planted} == {
            "fails": "fail", "warns": "warn", "warns_below": "warn", "is_limited": "warn",
            "is_calculated": "pass", "sees_the_hidden": "fail", "stops_the_levels": "fail",
            "waits_in_vain": "skipped",
        }  # fmt: skip
        assert ended["patients"] == "error"
        assert ended["shown"] == "skipped"  # a test of what stands in it failed
        assert ended["assert_entities_count_every_image"] == "skipped"
        assert self.through_plan_again(compilation, run, tmp_path) == outcomes

    def through_plan_again(
        self, compilation: Compilation, run: Ready, folder: Path
    ) -> list[Outcome]:
        """One node at a time."""
        (folder / "again").mkdir()
        path = self.registered(run, folder / "again", compilation.template())
        return self.through_plan(path, compilation.plan(), threads=1)


def assert_equal_databases(one: Path, two: Path) -> None:
    """Every table with its columns and rows, and every view's SQL, in all schemas."""
    with duckdb.connect() as connection:
        for name, path in (("one", one), ("two", two)):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        described = [
            connection.sql(
                "select schema_name, table_name, column_name, data_type from duckdb_columns() "
                f"where database_name = '{name}' and not internal order by all"
            ).fetchall()
            for name in ("one", "two")
        ]
        assert described[0] == described[1]
        views = [
            {
                (schema, view): " ".join(sql.split())
                for schema, view, sql in connection.sql(
                    "select schema_name, view_name, sql from duckdb_views() "
                    f"where database_name = '{name}' and not internal"
                ).fetchall()
            }
            for name in ("one", "two")
        ]
        assert views[0] == views[1]
        tables = {(schema, table) for schema, table, _, _ in described[0]} - views[0].keys()
        assert len(tables) > 80
        for schema, table in sorted(tables):
            columns = ", ".join(
                f'"{column}"' for s, t, column, _ in described[0] if (s, t) == (schema, table)
            )
            one_table, two_table = (f'{name}."{schema}"."{table}"' for name in ("one", "two"))
            counts = f"select (select count(*) from {one_table}) - count(*) from {two_table}"
            assert connection.sql(counts).fetchall() == [(0,)], (schema, table)
            differing = (
                f"select {columns} from {one_table} except all select {columns} from {two_table}"
            )
            assert connection.sql(differing).limit(1).fetchall() == [], (schema, table)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dbt project of one's own, and beside it a cache with its plan."""
    base = tmp_path_factory.mktemp("own")
    folder = write_project(
        base / "project",
        {
            "found": "select source from {{ source('lake', 'files') }}",
            "known": "select iod, letter from {{ source('standard', 'sop_classes') }}, "
            "{{ ref('letters') }}",
        },
    )
    (folder / "seeds").mkdir()
    (folder / "seeds" / "letters.csv").write_text("letter\na\nb\n")
    (folder / "models" / "sources.yml").write_text(
        "sources: [{name: lake, schema: lake, tables: [{name: files}]},"
        " {name: standard, schema: standard, tables: [{name: sop_classes}]}]"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICOMHOUSE_DBT", str(folder))
        patch.setenv("DICOMHOUSE_CACHE", str(base / "cache"))
        plan, told = compiled(base)
    assert ["dbt compiles" in line for line in told] == [True]
    assert plan.template.is_relative_to(base / "cache")
    return base


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, with its plan in a cache of the test's own."""
    for name in ("project", "cache"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.setenv("DICOMHOUSE_DBT", str(tmp_path / "project"))
    monkeypatch.setenv("DICOMHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "project"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def compiled(scratch: Path) -> tuple[Plan, list[str]]:
    """A plan, its template looked at too, and what was said."""
    told: list[str] = []
    compilation = Compilation(scratch, told.append)
    try:
        assert compilation.template()
        return compilation.plan(), told
    finally:
        compilation.close()


def test_plan_is_made_once_and_again_when_the_project_changes(
    project: Path, scratch: Path, tmp_path: Path
) -> None:
    plan, told = compiled(scratch)
    assert told == []
    assert [node.name for node in plan.nodes] == ["found"]
    assert {result.name: result.status for result in plan.done.values()} == {
        "letters": "success", "known": "success",
    }  # fmt: skip
    with duckdb.connect(str(plan.template), read_only=True) as template:
        assert template.sql("select count(*) > 200 from main.known").fetchall() == [(True,)]
    (project / "seeds" / "letters.csv").write_text("letter\na\n")
    other, told = compiled(scratch)
    assert len(told) == 1
    assert other.template.parent != plan.template.parent
    kept = sorted((tmp_path / "cache" / "plans").iterdir())
    assert kept == sorted({plan.template.parent, other.template.parent})
    assert list(scratch.iterdir()) == []


def test_damaged_plan_is_made_again(project: Path, scratch: Path) -> None:
    plan, _ = compiled(scratch)
    for path in (plan.template, plan.template.with_name("plan.json")):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        _, told = compiled(scratch)
        assert ["damaged" in line for line in told] == [True], path
        assert compiled(scratch)[1] == []


def test_several_processes_may_make_and_use_a_plan(
    project: Path, scratch: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "cache")
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(compiled, [scratch, scratch]))
    assert len({plan.template for plan, _ in both}) == 1
    assert load(both[0][0].template.parent) == compiled(scratch)[0]


def test_cache_that_others_may_write_is_not_used(
    project: Path, scratch: Path, tmp_path: Path
) -> None:
    planted = tmp_path / "cache" / "plans"
    planted.chmod(0o777)
    plan, told = compiled(scratch)
    assert ["not this user's alone" in line for line in told] == [True]
    assert plan.template.is_relative_to(scratch)
    assert len(list(planted.iterdir())) == 1


def test_files_of_the_cache_are_our_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("x")
    mine.chmod(0o600)
    with open_own(mine) as file:
        assert file.read() == b"x"
    link, pipe, shared = tmp_path / "link", tmp_path / "pipe", tmp_path / "shared"
    link.symlink_to(mine)
    os.mkfifo(pipe, 0o600)
    shared.write_text("x")
    shared.chmod(0o666)
    for path in (link, pipe, shared, tmp_path):
        with pytest.raises(OSError, match=r"not this user's alone|symbolic links"):
            open_own(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(NotOurs):
        own_folder(tmp_path / "folder")
    if os.geteuid() == 0:
        os.chown(mine, 1234, 1234)
        with pytest.raises(NotOurs):
            open_own(mine)
        theirs = tmp_path / "home"
        theirs.mkdir()
        os.chown(theirs, 1234, 1234)
        assert not cache_folder({"HOME": str(theirs)}).is_relative_to(theirs)  # as sudo leaves it


def test_what_a_plan_cannot_hold_is_told_by_the_name_of_its_node(
    project: Path, scratch: Path
) -> None:
    unheld = {
        "hook.sql": ("{{ config(post_hook='drop table x') }} select 1 as a", "post_hook"),
        "grows.sql": ("{{ config(materialized='incremental') }} select 1 as a",
                      "the materialization incremental"),
        "remembers.sql": ("select '{{ env_var(\"HOME\") }}' as a", "env_var"),
        "dates.sql": ("select '{{ started() }}' as a", "run_started_at"),
        "python.py": ("def model(dbt, session):\n    return 1\n", "a model in python"),
    }  # fmt: skip
    for name, (code, _) in unheld.items():
        (project / "models" / name).write_text(code)
    (project / "macros").mkdir()
    (project / "macros" / "own.sql").write_text(
        "{% macro started() %}{{ run_started_at }}{% endmacro %}"
        "{% macro create_table_as(temporary, relation, sql) %}select 1{% endmacro %}"
    )
    with pytest.raises(ModelsFailed) as caught:
        compiled(scratch)
    told = str(caught.value).splitlines()
    for name, (_, words) in unheld.items():
        assert f"model {name.partition('.')[0]} (models/{name}): {words}" in told
    assert any(line.startswith("macro create_table_as (macros/own.sql)") for line in told)


def test_query_at_compile_time_is_told_by_the_name_of_its_node(
    project: Path, scratch: Path
) -> None:
    (project / "models" / "looks.sql").write_text(
        "select '{{ adapter.get_columns_in_relation(ref(\"found\")) }}' as a"
    )
    words = r"(?s)model looks \(models/looks\.sql\).*queries at compile time"
    with pytest.raises(ModelsFailed, match=words):
        compiled(scratch)


def test_project_that_cannot_be_parsed_is_told_in_dbts_own_words(
    project: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "models" / "found.sql").write_text("select {{ nobody_knows() }}")
    monkeypatch.setenv("DBT_EMPTY", "1")
    with pytest.raises(ModelsFailed, match=r"(?s)could not be compiled.*nobody_knows"):
        compiled(scratch)
    (project / "models" / "found.sql").write_text(
        "select 1 as a from {{ source('lake', 'files') }}"
    )
    plan, _ = compiled(scratch)
    assert "limit 0" not in plan.nodes[0].sql  # DBT_EMPTY would ask for no row


def test_data_error_of_a_model_tells_no_value(tmp_path: Path, scratch: Path) -> None:
    from dicomhouse.warehouse.plan import Node

    nodes = [
        Node("model.a", "a", "model", "error", [], "create table a as select 'DOE^J' as n"),
        Node(
            "model.b", "b", "model", "error", ["model.a"], "create table b as select n::int from a"
        ),
        Node("model.c", "c", "model", "error", [], "create table c as select x from nowhere"),
    ]
    plan = Plan(nodes, {}, [], {}, "", tmp_path / "template.duckdb")
    database.create_template(tmp_path / "warehouse.duckdb")
    with pytest.raises(ModelsFailed) as caught:
        models.build(tmp_path / "warehouse.duckdb", plan)
    told = str(caught.value)
    assert "model b (error), model c (error) failed" in told
    assert "b: ConversionException, whose words may hold a value of a file" in told
    assert "c: Catalog Error: Table with name nowhere does not exist!" in told
    assert "DOE" not in told
    log = tmp_path / "models.log"
    assert "DOE^J" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("nodes", "cores"), [(1, 5), (2, 2), (8, 1)])
def test_nodes_that_run_at_a_time_share_the_cores(nodes: int, cores: int) -> None:
    with duckdb.connect(config={"threads": 5}) as connection:
        models.share_cores(connection, nodes)
        assert connection.sql("select current_setting('threads')").fetchall() == [(cores,)]


def test_models_are_written_to_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    database.create_template(path)
    with database.modelling(path, {}, tmp_path / "spill") as connection:
        connection.execute("create table a as select n from range(100000) as t (n)")
        log = path.with_name(path.name + ".wal")
        assert not log.exists() or not log.stat().st_size
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("select count(*) from a").fetchall() == [(100000,)]


def test_tables_with_other_counts_than_the_lake_are_not_published(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name in ("files", "images", "elements"):
            connection.execute(f"create table {name} as select 1 as n from range(3)")
    told = {"files": {"ok": 2, "empty": 1}, "images": 4, "elements": 3}
    with pytest.raises(ModelsFailed, match="images has 3 rows, where the lake has 4"):
        database.finish(path, told)
