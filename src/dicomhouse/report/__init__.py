"""The HTML report of a generation: one page that stands alone, without scripts.

Every text comes from files: the template engine escapes it, and what a screen would obey is an
escape too. What is shown is asked by the SQL of `sql/report/`, one file a section.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dicomhouse.output import printable
from dicomhouse.resources import resource

SECTIONS = ("sources", "findings", "series", "tags")
_SEVERITIES = {"E": "error", "W": "warning", "I": "information"}


def render(connection: duckdb.DuckDBPyConnection, record: Mapping[str, Any]) -> str:
    """The page for a generation's DuckDB file and what is known of its run."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = {name: _rows(connection, name) for name in SECTIONS}
    page = environment.get_template("page.html.j2")
    return page.render(run=record, severities=_SEVERITIES, **sections)


def _shown(value: Any) -> Any:
    return printable(value, but="\t\r\n") if type(value) is str else value


def _rows(connection: duckdb.DuckDBPyConnection, section: str) -> list[dict[str, Any]]:
    query = resource("sql", "report", f"{section}.sql").read_text()
    rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
    return rows
