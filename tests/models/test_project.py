"""The dbt project as a whole: its themes, and what it says of its tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import dicomhouse
from dicomhouse.resources import resource

THEMES = (
    "staging", "standard", "tags", "frames", "geometry", "conformance", "entities", "checks",
    "privacy", "summaries", "history",
)  # fmt: skip
"""The folders of models, each on those before it."""


@pytest.fixture(scope="module")
def manifest(parsed: Path) -> dict[str, Any]:
    """What dbt says of the project."""
    told: dict[str, Any] = json.loads((parsed / "manifest.json").read_text())
    return told


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Any]:
    """The models by id."""
    nodes = manifest["nodes"].items()
    return {name: node for name, node in nodes if node["resource_type"] == "model"}


def test_models_refer_downhill(models: dict[str, Any]) -> None:
    places = {name: THEMES.index(node["fqn"][1]) for name, node in models.items()}
    uphill = {
        (name, other)
        for name, node in models.items()
        for other in node["depends_on"]["nodes"]
        if places.get(other, 0) > places[name]
    }
    assert uphill == set()


def test_long_models_say_why() -> None:
    for path in resource("dbt", "models").rglob("*.sql"):
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > 150:
            assert "Long because" in "\n".join(lines[:2]), path.name


def test_prefix_of_a_model_tells_its_schema(models: dict[str, Any]) -> None:
    schemas = {node["name"]: node["schema"] for node in models.values()}
    assert {schema for name, schema in schemas.items() if name.startswith("int_")} == {
        "intermediate"
    }
    assert {name for name, schema in schemas.items() if schema == "main"} == {
        name for name in schemas if not name.startswith(("int_", "stg_"))
    }


def test_every_column_of_a_table_is_described(models: dict[str, Any], demo: Path) -> None:
    """Those of `images` and its view `dicom_all` come with the data."""
    described = {
        (node["schema"], node["name"]): {
            name for name, column in node["columns"].items() if column["description"]
        }
        for node in models.values()
        if node["name"] not in ("images", "dicom_all")
    }
    with dicomhouse.open(demo) as warehouse:
        rows = warehouse.sql(
            "select schema_name, table_name, column_name from duckdb_columns() "
            "where database_name = current_database()"
        ).rows()
    built: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in rows:
        built.setdefault((schema, table), set()).add(column)
    assert {name: built.get(name) for name in described} == described
    assert all(node["description"] for node in models.values())


def asked_tables(scripts: Iterable[Path], models: set[str]) -> set[str]:
    """The models that SQL reads: by SELECTs, or by those that temporary tables are made of."""
    scripted = [one for path in scripts for one in duckdb.extract_statements(path.read_text())]
    told = []
    with duckdb.connect() as connection:
        for statement in scripted:
            select = re.sub(r"--.*|create or replace temp table \w+ as", "", statement.query)
            connection.execute("select json_serialize_sql(?)::varchar", [select])
            told += [tree for (tree,) in connection.fetchall()]
    assert not any('"error":true' in tree for tree in told)
    return set(re.findall(r'"table_name":"(\w+)"', "".join(told))) & models


@pytest.mark.parametrize(
    ("exposure", "places"),
    [
        ("report", ["report/*.sql"]),
        ("named_reports", ["reports/*.sql"]),
        ("python", ["plots/*.sql", "commands/volume_*.sql"]),
    ],
)
def test_exposures_stand_on_what_their_sql_reads(
    manifest: dict[str, Any], models: dict[str, Any], exposure: str, places: list[str]
) -> None:
    """`dbt/models/exposures.yml` says which tables are looked at from where."""
    told = manifest["exposures"][f"exposure.dicomhouse.{exposure}"]["depends_on"]["nodes"]
    scripts = [path for place in places for path in resource("sql").glob(place)]
    names = {node["name"] for node in models.values()}
    assert {name.split(".")[-1] for name in told} == asked_tables(scripts, names)
