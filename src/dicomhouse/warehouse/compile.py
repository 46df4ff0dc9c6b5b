"""The process in which dbt compiles the project, whose folder is the argument.

In the working folder, which is private, it leaves a plan (see `warehouse.plan`). What a plan cannot
hold is told on the standard error, with the name of the node, and the process ends with 1.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dicomhouse.resources import resource
from dicomhouse.warehouse import database, models
from dicomhouse.warehouse.plan import Description, Node, NodeResult, Plan, template_digest

_DATABASE = Path("warehouse.duckdb")
_FOR_PEOPLE = "main"
"""The schema whose tables every run describes: a comment costs half a millisecond."""
_KINDS = ("seed", "model", "test")
_MATERIALIZED = ("table", "view", "ephemeral")
_HELD_BY_NO_PLAN = (
    "pre_hook", "post_hook", "grants", "sql_header", "persist_docs", "store_failures",
    "store_failures_as", "indexes", "partitioned_by", "sorted_by",
)  # fmt: skip
"""Of a node's configuration."""
_OF_THE_PROFILE = ("attach", "extensions", "filesystems", "plugins", "secrets", "module_paths",
                   "use_credential_provider", "remote")  # fmt: skip
_OF_THE_MOMENT = re.compile(
    r"\b(env_var\s*\(|run_started_at|invocation_id|invocation_args_dict|modules\.datetime)"
)
"""What a project may ask for when it is compiled, and is another answer in another run."""
_OWN_MACROS = ("generate_schema_name", "generate_alias_name", "test_", "default__test_")
"""Macros of dbt's that a project may replace: they are asked while it is compiled."""


_DBTS_PACKAGES = ("dbt", "dbt_duckdb")


class Refused(Exception):
    """The project has something that a plan cannot hold."""


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.umask(0o077)
    gc.disable()  # a fifteenth of the time; nothing that is parsed goes away
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    os.environ |= {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    try:
        _compile(sys.argv[1]).save()
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


def _compile(project: str) -> Plan:
    from dbt.adapters.factory import FACTORY
    from dbt.cli.main import dbtRunner
    from dbt.compilation import Compiler

    dbts = Path("dbt").absolute()  # dbt takes a relative one for a folder of the project
    options = [
        *("--project-dir", project, "--profiles-dir", project, "--target-path", str(dbts)),
        *("--log-path", str(dbts), "--log-level-file", "none", "--quiet", "--no-write-json"),
    ]
    parsed = dbtRunner().invoke(["parse", *options])
    if not parsed.success:
        raise Refused(parsed.exception or "dbt cannot parse it.")
    manifest: Any = parsed.result
    adapter: Any
    (adapter,) = FACTORY.adapters.values()
    credentials = adapter.config.credentials
    _check_project(manifest, credentials)
    database.create_template(_DATABASE)
    with _no_queries(type(adapter)):
        compiled = dbtRunner(manifest=manifest).invoke(["compile", *options, "--no-populate-cache"])
    if not compiled.success:
        raise Refused(_messages(compiled))
    for result in _results(compiled):
        manifest.nodes[result.node.unique_id] = result.node
    graph = Compiler(adapter.config).compile(manifest, write=False, add_test_edges=True).graph
    seeded = dbtRunner(manifest=manifest).invoke(["seed", *options])
    if not seeded.success:
        raise Refused(_messages(seeded))
    type(adapter).ConnectionManager.close_all_connections()
    done = {
        result.node.unique_id: NodeResult(
            result.node.name, "seed", str(result.status), round(result.execution_time, 4)
        )
        for result in _results(seeded)
    }
    waits = {name: [other for other in graph.predecessors(name) if other in manifest.nodes]
             for name in sorted(manifest.nodes)}  # fmt: skip
    nodes = {
        name: _node(manifest.nodes[name], waits[name])
        for name in TopologicalSorter(waits).static_order()
        if manifest.nodes[name].resource_type in ("model", "test")
    }
    settings = {**(credentials.config_options or {}), **(credentials.settings or {})}
    with database.modelling(_DATABASE, settings, Path("spill")) as connection:
        there = database.relations(connection)
        lasting = {name for name, source in manifest.sources.items()
                   if (source.schema, source.identifier) in there}  # fmt: skip
        lasting |= done.keys()
        for name, node in nodes.items():
            asked = manifest.nodes[name].depends_on.nodes
            if asked and lasting.issuperset([*asked, *node.waits]):
                lasting.add(name)
        schemas = {node.schema for node in manifest.nodes.values() if node.resource_type != "test"}
        database.create_schemas(connection, schemas)
        done |= models.run(connection, [n for n in nodes.values() if n.id in lasting], done)
        described = {name: _description(node) for name, node in manifest.nodes.items()
                     if node.resource_type in ("model", "seed") and node.description
                     and node.config.materialized != "ephemeral"}  # fmt: skip
        database.describe(connection, [described[name] for name in described if name in lasting])
    manifest.write(str(Path("manifest.json").absolute()))  # dbt makes its folder
    shutil.rmtree(dbts)
    _DATABASE.rename("template.duckdb")
    template = Path("template.duckdb").absolute()
    return Plan(
        # What stands in others is kept: they wait for whatever it waits for.
        nodes=[node for node in nodes.values() if node.id not in lasting or not node.sql],
        done=done,
        descriptions=[
            described[name]
            for name in described
            if name not in lasting and described[name].schema == _FOR_PEOPLE
        ],
        settings=settings,
        template_digest=template_digest(template),
        template=template,
    )


def _check_project(manifest: Any, credentials: Any) -> None:
    """Raise Refused, with all that a plan cannot hold of the project."""
    found = [f"profiles.yml: {name}" for name in _OF_THE_PROFILE if getattr(credentials, name)]
    if credentials.database != _DATABASE.stem:
        found.append(f"profiles.yml: another path than {_DATABASE}, where a run builds")
    dbts = {m.name for m in manifest.macros.values() if m.package_name in _DBTS_PACKAGES}
    for macro in manifest.macros.values():
        is_own = macro.package_name not in _DBTS_PACKAGES
        if is_own and macro.name in dbts and not macro.name.startswith(_OWN_MACROS):
            where = macro.original_file_path
            found.append(f"macro {macro.name} ({where}): another way to carry out nodes than dbt's")
    for node in manifest.nodes.values():
        found += [f"{_title(node)}: {what}" for what in _unheld(node, manifest.macros)]
    if found:
        raise Refused("\n".join(["a plan cannot hold", *sorted(found)]))


def _unheld(node: Any, macros: Mapping[str, Any]) -> Iterator[str]:
    """What a plan cannot hold of a node."""
    config = node.config
    if node.resource_type not in (*_KINDS, "analysis"):
        yield f"a node of the kind {node.resource_type}"
    if node.resource_type == "model":
        if node.language != "sql":
            yield f"a model in {node.language}"
        elif config.materialized not in _MATERIALIZED:
            yield f"the materialization {config.materialized}"
    if node.database != _DATABASE.stem:
        yield f"the database {node.database}"
    for name in _HELD_BY_NO_PLAN:
        value = config.get(name)
        if any(value.values()) if isinstance(value, dict) else value:
            yield name
    if getattr(getattr(node, "contract", None), "enforced", False):
        yield "a contract"
    for code in (node.raw_code or "", *_codes_of_macros(node, macros)):
        if asked := _OF_THE_MOMENT.search(code):
            yield asked[1].rstrip("( ")


def _codes_of_macros(node: Any, macros: Mapping[str, Any]) -> Iterator[str]:
    """The code of the project's macros that a node uses, and of those that these use."""
    seen: set[str] = set()
    pending = list(node.depends_on.macros)
    while pending:
        name = pending.pop()
        macro = macros.get(name)
        if name in seen or macro is None or macro.package_name in _DBTS_PACKAGES:
            continue
        seen.add(name)
        pending.extend(macro.depends_on.macros)
        yield macro.macro_sql


def _title(node: Any) -> str:
    return f"{node.resource_type} {node.name} ({node.original_file_path})"


@contextmanager
def _no_queries(adapter: Any) -> Iterator[None]:
    """Let what is compiled ask the database nothing: its answer would be another in each run."""
    connections = adapter.ConnectionManager

    def refuse(*_: Any, **__: Any) -> Any:
        raise Refused("a plan cannot hold queries at compile time")

    with patch.object(connections, "add_query", refuse):
        yield


def _results(done: Any) -> list[Any]:
    return list(getattr(done.result, "results", ()))


def _messages(done: Any) -> str:
    """What dbt says of the nodes that it could not compile."""
    if done.exception is not None:
        return str(done.exception)
    failed = [r for r in _results(done) if str(r.status) in ("error", "fail")]
    return "\n".join(f"{_title(result.node)}: {result.message}" for result in failed)


def _node(node: Any, waits: list[str]) -> Node:
    """A node with the statement that carries it out, as dbt's own macros put it."""
    config = node.config
    if node.resource_type == "test":
        limit = "" if config.limit is None else f"limit {config.limit}"
        places = {"fail_calc": config.fail_calc, "warn_if": config.warn_if,
                  "error_if": config.error_if, "limit": limit}  # fmt: skip
        sql = _filled("test", sql=node.compiled_code, **places)
        return Node(node.unique_id, node.name, "test", config.severity.lower(), waits, sql)
    sql = ""
    if config.materialized != "ephemeral":
        sql = _filled(config.materialized, sql=node.compiled_code, relation=node.relation_name)
    return Node(node.unique_id, node.name, "model", "error", waits, sql)


def _description(node: Any) -> Description:
    texts = {name: column.description for name, column in node.columns.items()}
    return Description(
        node.schema,
        node.alias,
        "view" if node.config.materialized == "view" else "table",
        _in_one_line(node.description),
        {name: _in_one_line(text) for name, text in texts.items() if text},
    )


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _filled(name: str, **places: str) -> str:
    return database.filled(resource("sql", "models", f"{name}.sql").read_text(), places)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
