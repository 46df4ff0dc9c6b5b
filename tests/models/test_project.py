"""The dbt project as a whole: its themes, and what it says of its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dicomhouse
from dicomhouse.resources import resource

THEMES = (
    "staging", "standard", "tags", "frames", "geometry", "conformance", "entities", "checks",
    "privacy", "summaries", "history",
)  # fmt: skip
"""The folders of models, each on those before it."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The models of dbt's manifest by id."""
    target, project = tmp_path_factory.mktemp("target"), resource("dbt")
    subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "parse", "--project-dir", project),
            *("--profiles-dir", project, "--target-path", target, "--log-path", target),
        ],
        cwd=target,
        capture_output=True,
        check=True,
    )
    nodes = json.loads(Path(target, "manifest.json").read_text())["nodes"]
    return {name: node for name, node in nodes.items() if node["resource_type"] == "model"}


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
