"""Run a plan: models and data tests in order on one DuckDB connection, each with dbt's outcome."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import duckdb

from dicomhouse.errors import ModelsFailed
from dicomhouse.warehouse.database import STORAGE_ERRORS, describe, modelling
from dicomhouse.warehouse.plan import Node, NodeResult, Plan

_SPEAKS_OF_SQL_ALONE = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)
"""Errors whose words hold nothing but names of the SQL: no row was looked at."""


def build(
    database: Path,
    plan: Plan,
    threads: int = 1,
    count: Callable[[int, int], None] = lambda done, of: None,
) -> list[NodeResult]:
    """Run the models and data tests in a registered generation's DuckDB file; how each ended.

    dbt's unit tests try the models on rows of their own, so they are left to the test suite.

    Args:
        database: the file.
        plan: what to run.
        threads: how many nodes may run at a time.
        count: gets how many nodes are done, and of how many.

    Raises:
        ModelsFailed: a model or an error-severity test failed; its message names them.
        StorageError: the file cannot be written, or there is not enough memory.
    """
    words: dict[str, Exception] = {}
    with modelling(database, plan.settings, database.with_name("spill")) as connection:
        share_cores(connection, threads)
        results = plan.done | run(connection, plan.nodes, plan.done, words, threads, count)
        if not any(result.has_failed for result in results.values()):
            describe(connection, plan.descriptions, threads)
    check(results, plan.nodes, words, database.with_name("models.log"))
    return list(results.values())


def share_cores(connection: duckdb.DuckDBPyConnection, threads: int) -> None:
    """Let each of the nodes that run at a time use its part of the cores alone.

    To spread a small statement over all of them takes longer than to carry it out.
    """
    if threads > 1:
        ((cores,),) = connection.execute("select current_setting('threads')").fetchall()
        connection.execute("set threads = ?", [max(1, cores // threads)])


def run(
    connection: duckdb.DuckDBPyConnection,
    nodes: Sequence[Node],
    done: Mapping[str, NodeResult],
    words: dict[str, Exception] | None = None,
    threads: int = 1,
    count: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, NodeResult]:
    """Carry out the nodes, each once those that it waits for are done; by id, how each ended.

    What waits for a node that failed is skipped, as in `dbt build`. A test fails where its severity
    is `error` and its threshold is passed; with `warn`, or beyond `warn_if` alone, it warns.

    Args:
        connection: to the database that the nodes' relations stand in.
        nodes: each after those that it waits for.
        done: how nodes ended that were carried out before.
        words: filled with what DuckDB said, by id.
        threads: how many nodes may run at a time. To plan a query takes one core, and longer than
            to carry it out where there is little data.
        count: gets how many nodes are done, and of how many.

    Raises:
        database.STORAGE_ERRORS: it cannot go on.
    """
    results: dict[str, NodeResult] = {}
    stopped = {name for name, result in done.items() if result.has_failed}
    left = list(nodes)
    unended = {node.id for node in nodes}
    running: dict[Future[tuple[str, float]], Node] = {}
    cursors = threading.local()

    def carry_out(node: Node) -> tuple[str, float]:
        if not hasattr(cursors, "own"):
            cursors.own = connection.cursor()
            cursors.own.execute("use warehouse")
            cursors.own.execute("set timezone = 'UTC'")
        begun = time.perf_counter()
        status = _carried_out(cursors.own, node)
        return status, time.perf_counter() - begun

    def end(node: Node, status: str, seconds: float = 0) -> None:
        unended.remove(node.id)
        count(len(nodes) - len(unended), len(nodes))
        if status in ("error", "fail", "skipped"):
            stopped.add(node.id)
        if node.sql:
            results[node.id] = NodeResult(node.name, node.kind, status, round(seconds, 4))

    with ThreadPoolExecutor(threads) as pool:
        while left or running:
            for node in [node for node in left if unended.isdisjoint(node.waits)]:
                if len(running) == threads:
                    break
                left.remove(node)
                if not stopped.isdisjoint(node.waits):
                    end(node, "skipped")
                elif not node.sql:  # it stands in those that use it
                    end(node, "success")
                else:
                    running[pool.submit(carry_out, node)] = node
            if not running:
                continue
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                node = running.pop(future)
                try:
                    end(node, *future.result())
                except STORAGE_ERRORS:
                    raise
                except duckdb.Error as error:
                    end(node, "error")
                    if words is not None:
                        words[node.id] = error
    return results


def _carried_out(connection: duckdb.DuckDBPyConnection, node: Node) -> str:
    cursor = connection.execute(node.sql)
    if node.kind != "test":
        return "success"
    ((_, should_warn, should_error),) = cursor.fetchall()
    if should_error and node.severity == "error":
        return "fail"
    return "warn" if should_warn else "pass"


def check(
    results: Mapping[str, NodeResult],
    nodes: Sequence[Node],
    words: Mapping[str, Exception],
    log: Path,
) -> None:
    """Raise what failed, and write its SQL and DuckDB's words to a file for its owner alone.

    Raises:
        ModelsFailed: naming the nodes; with DuckDB's words where they hold no value of a file.
    """
    failed = [(name, result) for name, result in results.items() if result.has_failed]
    if not failed:
        return
    sql = {node.id: node.sql for node in nodes}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for name, _ in failed:
            file.write(f"-- {name}\n{words.get(name, '')}\n{sql.get(name, '')}\n\n")
    names = ", ".join(f"{node.kind} {node.name} ({node.status})" for _, node in failed[:10])
    more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
    words_of_duckdb = "".join(
        f"\n{node.name}: {_first_line(words[name])}" for name, node in failed[:3] if name in words
    )
    raise ModelsFailed(
        f"{names}{more} failed, so nothing was published; what this run has read is kept for the "
        f"next one. Their SQL and all that DuckDB said is in {log} until then.{words_of_duckdb}"
    )


def _first_line(error: Exception) -> str:
    if isinstance(error, _SPEAKS_OF_SQL_ALONE):
        return str(error).partition("\n")[0]
    return f"{type(error).__name__}, whose words may hold a value of a file"
