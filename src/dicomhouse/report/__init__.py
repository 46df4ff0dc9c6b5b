"""The HTML report of a generation: one page that stands alone and asks for nothing from outside.

The page is its data as JSON, a section for each file of `sql/report/`, and a script that draws what
is looked at. Every text comes from files: the script writes it as text, never as HTML, and the
page's policy runs no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dicomhouse.resources import resource

_FOLDER = Path(__file__).parent
_SCRIPTS = ("dom", "charts", "tables", "views", "series", "patients", "tags", "search", "start")
"""Files of `page/`, in the order in which they build on each other."""


def render(
    connection: duckdb.DuckDBPyConnection,
    record: Mapping[str, Any],
    with_values: bool = True,
    pictures: Mapping[tuple[str, str], Mapping[str, bytes] | str] | None = None,
) -> str:
    """The page for a generation's DuckDB file and what is known of its run.

    Args:
        with_values: without, all that may identify stays out: names, paths, dates and texts. Left
            are counts, rules, tags, and the values of codes and numbers that
            `sql/report/names.sql` lets through.
        pictures: by source and series_key WebP files by what they show, or why there are none.
    """
    for name, value in (("with_values", with_values), ("generation", record["generation"])):
        connection.execute(f"set variable {name} = ?", [value])
    connection.execute(_statement("names"))
    sections = {
        path.stem: _section(connection, path.stem)
        for path in sorted(resource("sql", "report").glob("*.sql"))
        if path.stem != "names"
    }
    sections["run"] = {
        "generation": record["generation"],
        "started_at": record["started_at"],
        "elements": record["elements"],
        "lake_bytes": record["lake_bytes"],
        "with_values": with_values,
    }
    sections["pictures"] = _pictures(connection, pictures if with_values and pictures else {})
    style = (_FOLDER / "page" / "page.css").read_text()
    scripts = [(_FOLDER / "vendor" / "datatables.min.js").read_text(), _own_script()]
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "page"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        generation=record["generation"],
        style=style,
        style_hash=_hash(style),
        scripts=scripts,
        script_hashes=[_hash(script) for script in scripts],
        sections={name: _as_json(section) for name, section in sections.items()},
    )


def _own_script() -> str:
    parts = [(_FOLDER / "page" / f"{name}.js").read_text() for name in _SCRIPTS]
    return "(() => {\n'use strict';\n" + "\n".join(parts) + "})();\n"


def _statement(name: str) -> str:
    return resource("sql", "report", f"{name}.sql").read_text()


def _section(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    found = connection.execute(_statement(name))
    columns = [column[0] for column in found.description or ()]
    return {"columns": columns, "rows": found.fetchall()}


def _pictures(
    connection: duckdb.DuckDBPyConnection,
    pictures: Mapping[tuple[str, str], Mapping[str, bytes] | str],
) -> dict[str, Any]:
    rows: list[tuple[int, str, str | None]] = []
    query = "select series_number from report_series where source = ? and series_key = ?"
    for key, shown in pictures.items():
        for (number,) in connection.execute(query, key).fetchall():
            if isinstance(shown, str):
                rows.append((number, shown, None))
                continue
            for what, content in shown.items():
                url = "data:image/webp;base64," + base64.b64encode(content).decode()
                rows.append((number, what, url))
    return {"columns": ["series_number", "what", "url"], "rows": rows}


def _as_json(section: Any) -> str:
    """JSON that can stand in a script element: nothing in it begins a tag."""
    try:
        text = json.dumps(section, default=str, separators=(",", ":"), allow_nan=False)
    except ValueError:  # JSON knows no infinity
        finite = json.loads(json.dumps(section, default=str), parse_constant=lambda name: None)
        text = json.dumps(finite, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
