"""Whole runs that make no more of the models than a test looks at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicomhouse.run import build as steps
from dicomhouse.run.progress import Say
from dicomhouse.settings import Settings
from dicomhouse.warehouse import database
from dicomhouse.warehouse.plan import Compilation, Plan

_LAKE = ("files", "images", "elements")
_TOLD = (
    "sources", "patients", "studies", "series", "tag_levels", "findings", "waivers", "expected",
    "runs", "run_changes",
)  # fmt: skip
"""The tables that `status` and `check` ask, and that the next run looks at."""
_register, _plan = database.register, Compilation.plan


def build_tables(
    settings: Settings, tables: Collection[str], say: Say = lambda line: None
) -> dict[str, Any]:
    """One run with the lake's tables, these, and what they stand on: in a third of the time.

    It writes no report, and knows of the run before what was read and measured, but no findings.

    Returns:
        The record of the generation that stands.
    """
    with _only(tables) as patch:
        patch.setattr(database, "register", _register_as_first)
        patch.setattr(database, "finish", lambda *given: None)
        return steps.build_direct(settings, say)


def build_findings(settings: Settings, say: Say = lambda line: None) -> dict[str, Any]:
    """One run with its findings and what changed since the run before, but without a report.

    Returns:
        The record of the generation that stands.
    """
    with _only(_TOLD):
        return steps.build_direct(settings, say)


@contextmanager
def _only(tables: Collection[str]) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compilation, "plan", lambda self: _part(_plan(self), {*tables, *_LAKE}))
        patch.setattr(steps, "report", lambda run, lake: None)
        yield patch


def _part(plan: Plan, tables: Collection[str]) -> Plan:
    """The models of a plan that these tables stand on, with the tests that these wait for."""
    nodes = {node.id: node for node in plan.nodes}
    pending = [node.id for node in plan.nodes if node.kind == "model" and node.name in tables]
    assert len(pending) == len(tables), tables
    kept = set[str]()
    while pending:
        name = pending.pop()
        if name in nodes and name not in kept:  # others stand in the template
            kept.add(name)
            pending.extend(nodes[name].waits)
    return replace(plan, nodes=[node for node in plan.nodes if node.id in kept], descriptions=[])


def _register_as_first(
    file: Path, lake: Path, tolerances: Any, others: Any, record: Any, previous: Any, *more: Any
) -> None:
    _register(file, lake, tolerances, others, record, None, *more)
