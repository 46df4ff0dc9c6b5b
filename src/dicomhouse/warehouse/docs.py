"""dbt's page of a project, with what a generation's DuckDB file holds of its tables."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomhouse.resources import resource
from dicomhouse.warehouse.database import query

if TYPE_CHECKING:
    import duckdb

_POLICY = (
    b'<head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    b"script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    b'img-src data:; font-src data:">'
)
"""Lets the page ask nothing of any other place, whatever stands in it."""

_OF_THIS_MACHINE = {"build_path", "compiled_path", "root_path"}
"""Paths that dbt notes of a node."""


def page(manifest: bytes, connection: duckdb.DuckDBPyConnection) -> bytes:
    """One HTML file that needs no other: tables, columns, tests, lineage, exposures.

    It is what `dbt docs generate --static` writes; the catalogue is asked by our own connection,
    which reads nothing but its generation, and no text of either can end the script it stands in.

    Args:
        manifest: what dbt says of the project, as a plan keeps it.
        connection: to a generation's DuckDB file.
    """
    statement = resource("sql", "commands", "catalog.sql").read_text()
    relations = query(connection, statement).to_pylist()
    described = json.loads(manifest)
    for node in described["nodes"].values():
        node |= dict.fromkeys(_OF_THIS_MACHINE & node.keys())
    spec = find_spec("dbt.task.docs")
    assert spec is not None and spec.origin is not None
    html = Path(spec.origin).with_name("index.html").read_bytes()
    for place, content in (("MANIFEST", described), ("CATALOG", _catalog(described, relations))):
        html = html.replace(f'"{place}.JSON INLINE DATA"'.encode(), _script(content))
    return html.replace(b"<head>", _POLICY, 1)


def _catalog(manifest: dict[str, Any], relations: list[dict[str, Any]]) -> dict[str, Any]:
    """What the database holds of dbt's nodes and sources, in the form of dbt's `catalog.json`."""
    known = {(one["schema"], one["name"]): one for one in relations}
    catalog: dict[str, Any] = {"metadata": manifest["metadata"], "errors": None}
    for kind, name_of in (("nodes", "alias"), ("sources", "identifier")):
        there = {
            unique_id: known.get((node["schema"], node[name_of]))
            for unique_id, node in manifest[kind].items()
        }
        catalog[kind] = {
            unique_id: _entry(unique_id, one) for unique_id, one in there.items() if one
        }
    return catalog


def _entry(unique_id: str, relation: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: relation[name] for name in ("schema", "name", "type", "comment")}
    rows = {"id": "row_count", "label": "Rows", "value": relation["rows"], "include": True,
            "description": "Of this generation"}  # fmt: skip
    return {
        "unique_id": unique_id,
        "metadata": metadata | {"database": None, "owner": None},
        "columns": {column["name"]: column for column in relation["columns"]},
        "stats": {} if relation["rows"] is None else {"row_count": rows},
    }


def _script(content: Any) -> bytes:
    """JSON that may stand in a script of HTML, whatever its texts are."""
    return json.dumps(content).replace("<", "\\u003c").encode()
