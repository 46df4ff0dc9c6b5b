"""The dbt project as a plan: compiled once, then run on one DuckDB connection in every run.

A plan is a folder of the user's cache, named by a digest of all that it depends on:

    plan.json          the nodes in an order in which they can run, each with its SQL
    template.duckdb    what depends on the project and the standard alone: seeds, the standard's
                       tables, and the models and tests that stand on these
    manifest.json      what dbt says of the project, for its page (`dicomhouse docs`)

It is written beside its place and renamed, so that several processes may make and use it at once.
One that is damaged, or not this user's own, is made again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from dicomhouse import versions
from dicomhouse.cache import cache_folder, open_own, own_folder
from dicomhouse.errors import ModelsFailed

_PLAN = "plan.json"
_TEMPLATE = "template.duckdb"
_MANIFEST = "manifest.json"
_OUTPUT = "output.txt"
_KEPT = 5
"""Plans that stay in the cache: those used last."""
_LAST_LINES = 12


@dataclass(frozen=True)
class NodeResult:
    """How one dbt node (seed, model, test) ended. `status` is dbt's own word."""

    name: str
    kind: str
    status: str
    seconds: float

    @property
    def has_failed(self) -> bool:
        return self.status in ("error", "fail")


@dataclass(frozen=True)
class Node:
    """A node that every run carries out."""

    id: str
    name: str
    kind: str
    """`model` or `test`."""
    severity: str
    """Of a test: `error` or `warn`."""
    waits: Sequence[str]
    """The nodes that must not fail before it, as `dbt build` has them; itself fails with them."""
    sql: str
    """The statement to run; empty for an ephemeral model, which stands in those that use it."""


@dataclass(frozen=True)
class Description:
    """What the project says of a relation and its columns."""

    schema: str
    name: str
    kind: str
    """`table` or `view`."""
    text: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What dbt compiled of a project."""

    nodes: Sequence[Node]
    done: dict[str, NodeResult]
    """By id, how the nodes ended that the template already holds."""
    descriptions: Sequence[Description]
    """Of the relations that every run makes; those of the template stand in it."""
    settings: dict[str, Any]
    """DuckDB's, of the project's profile."""
    template_digest: str
    template: Path

    def save(self) -> None:
        """Write it beside its template."""
        content = asdict(self)
        del content["template"]
        text = json.dumps(content)
        path = self.template.with_name(_PLAN)
        path.write_text(f"{_digest(text.encode())}\n{text}", encoding="utf-8")

    def read_template(self) -> bytes:
        """The template database.

        Raises:
            Damaged: it is not what was made.
            OSError: it is not there, cannot be read, or is not this user's own.
        """
        with open_own(self.template) as file:
            content = file.read()
        if _digest(content) != self.template_digest:
            raise Damaged(f"{self.template} is damaged")
        return content

    def read_manifest(self) -> bytes:
        """What dbt says of the project, as its `manifest.json`.

        Raises:
            OSError: it is not there, cannot be read, or is not this user's own.
        """
        with open_own(self.template.with_name(_MANIFEST)) as file:
            return file.read()


class Damaged(Exception):
    """A plan that is not what was written."""


def load(folder: Path) -> Plan:
    """Read a plan.

    Raises:
        Damaged: it is not what was written.
        OSError: it is not there, cannot be read, or is not this user's own.
    """
    with open_own(folder / _PLAN) as file:
        digest, _, text = file.read().partition(b"\n")
    if digest.decode("latin-1") != _digest(text):
        raise Damaged(f"{folder / _PLAN} is damaged")
    content = json.loads(text)
    nodes = tuple(Node(**node) for node in content.pop("nodes"))
    done = {name: NodeResult(**result) for name, result in content.pop("done").items()}
    with suppress(OSError):
        os.utime(folder)  # it was used last
    descriptions = [Description(**described) for described in content.pop("descriptions")]
    return Plan(nodes, done, descriptions, template=folder / _TEMPLATE, **content)


class Compilation:
    """The plan of the project, from the cache or from a dbt process that makes it meanwhile.

    The process ends by itself when its parent is gone.
    """

    def __init__(self, scratch: Path, say: Callable[[str], None]) -> None:
        """Look for the plan; start the process where there is none that can be used.

        Args:
            scratch: a private folder that lasts as long as the run, for a plan that cannot be kept.
            say: told when the project is compiled, since that takes some seconds.
        """
        self._project = versions.dbt_project()
        self._scratch = scratch
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._place: Path | None = None
        self._plan: Plan | None = None
        self._is_repair = False
        digest = versions.plan()
        try:
            self._place = own_folder(own_folder(cache_folder()) / "plans") / digest
            self._plan = load(self._place)
        except FileNotFoundError:
            self._start("dbt compiles the models, once for this release of the project")
        except Damaged as error:
            self._repair(error)
        except OSError as error:  # no cache that is ours: nothing is kept
            self._place = None
            reason = error.strerror or error
            self._start(f"no cache folder of this user's own ({reason}): dbt compiles the models")

    def _repair(self, error: Exception) -> None:
        self._is_repair = True
        self._start(f"{error}: dbt compiles the models again")

    def _start(self, reason: str) -> None:
        self._say(f"models: {reason}")
        where = self._scratch if self._place is None else self._place.parent
        self._folder = Path(tempfile.mkdtemp(prefix=".new-", dir=where))
        command = [*(sys.executable, "-P", "-m", "dicomhouse.warehouse.compile"),
                   str(self._project.resolve())]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DBT_")}
        with (self._folder / _OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def plan(self) -> Plan:
        """Wait for the plan.

        Raises:
            ModelsFailed: the project cannot be compiled; with dbt's last words.
        """
        if self._plan is None:
            assert self._process is not None and self._folder is not None
            code = self._process.wait()
            if code != 0:
                raise ModelsFailed(self._failure(self._folder, code))
            self._plan = self._keep(self._folder)
        return self._plan

    def template(self) -> bytes:
        """The database that a run begins with.

        Raises:
            ModelsFailed: it is damaged, and the project cannot be compiled again.
        """
        try:
            return self.plan().read_template()
        except (Damaged, OSError) as error:
            self._plan = None
            self._repair(error)
            return self.plan().read_template()

    def _keep(self, made: Path) -> Plan:
        """Give a new plan its place in the cache, or leave it where it was made."""
        if self._place is None:
            return load(made)
        if self._is_repair:
            with suppress(OSError):  # another process may have been first
                self._place.rename(tempfile.mkdtemp(prefix=".old-", dir=self._place.parent))
        with suppress(OSError):  # likewise: then that one's plan is as good
            made.rename(self._place)
        _prune(self._place.parent)
        return load(self._place)

    def _failure(self, made: Path, code: int) -> str:
        words = (made / _OUTPUT).read_text(encoding="utf-8", errors="replace")
        lines = [line.rstrip() for line in words.splitlines() if line.strip()][-_LAST_LINES:]
        ended = f"signal {-code}" if code < 0 else f"code {code}"
        last_words = "\n".join(lines) or f"dbt ended with {ended}, without a word."
        return (
            f"the dbt project {self._project} could not be compiled, so nothing was published; "
            f"what this run has read is kept for the next one. Its last words:\n{last_words}"
        )

    def close(self) -> None:
        """End the process where it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _prune(plans: Path) -> None:
    """Remove all but the plans used last, and what killed processes left."""
    with suppress(OSError):
        by_use = sorted(plans.iterdir(), key=lambda path: -path.lstat().st_mtime_ns)
        kept = [path for path in by_use if not path.name.startswith(".")][:_KEPT]
        for path in by_use:
            if path not in kept and not _is_young(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_young(path: Path) -> bool:
    """Whether a folder may still be another process's work."""
    return time.time() - path.lstat().st_mtime < 3600


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=20).hexdigest()


def template_digest(template: Path) -> str:
    """The digest by which a copy of the template is checked."""
    return _digest(template.read_bytes())
