"""The settings of a run: defaults, then the environment, then flags; resolved once, passed down."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from dicomhouse.dicom.bounds import Bounds, Budget
from dicomhouse.errors import UsageError
from dicomhouse.filesystem import is_there
from dicomhouse.sources.globs import Rules
from dicomhouse.sources.opening import IS_STORE

_Limits = TypeVar("_Limits", Bounds, Budget)
SERVED = "DICOMHOUSE_SERVED"
"""The variable in which a process tells its flow runs what they read and where they write."""

_LIMITS = ("bounds", "budget")


def default_bounds(environment: Mapping[str, str] = os.environ) -> Bounds:
    """What a file may cost: `DICOMHOUSE_BOUNDS`, such as `max_elements=2000000 max_depth=9`.

    Raises:
        UsageError: it names no bound, or gives no whole number above 0.
    """
    return _limits(Bounds, "DICOMHOUSE_BOUNDS", environment)


def default_budget(environment: Mapping[str, str] = os.environ) -> Budget:
    """What a run may spend: `DICOMHOUSE_BUDGET`, such as `pixel_bytes=1000000000`.

    Raises:
        UsageError: it names no limit, or gives no whole number above 0.
    """
    return _limits(Budget, "DICOMHOUSE_BUDGET", environment)


def _limits(kind: type[_Limits], variable: str, environment: Mapping[str, str]) -> _Limits:
    words = environment.get(variable, "").split()
    try:
        return kind(**{name: int(number) for name, _, number in (t.partition("=") for t in words)})
    except (TypeError, ValueError):
        names = ", ".join(field.name for field in fields(kind))
        raise UsageError(
            f"{variable} takes NAME=NUMBER, separated by blanks; the names are {names}."
        ) from None


def default_file_id_key(environment: Mapping[str, str] = os.environ) -> str:
    """`DICOMHOUSE_FILE_ID_KEY`: of warehouses that have it, the same files have the same ids.

    Raises:
        UsageError: it cannot be a key.
    """
    key = environment.get("DICOMHOUSE_FILE_ID_KEY", "")
    if not key:
        return ""
    from dicomhouse.lake.keys import MOST_KEY_BYTES, is_key

    if not is_key(key):
        raise UsageError(
            f"DICOMHOUSE_FILE_ID_KEY can have {MOST_KEY_BYTES} characters at most, all of ASCII."
        )
    return key


def absolute_source(text: str, folder: Path) -> str:
    """A source, `PATH` or `NAME=PATH`, as it is named from another folder than this one."""
    name, equals, path = text.partition("=")
    if not equals or IS_STORE in name or is_there(folder / text):
        name, path = "", text
    if IS_STORE not in path:
        is_list = path.startswith("@") and not is_there(folder / path)
        path = ("@" if is_list else "") + str(folder / Path(path[is_list:]).expanduser())
    return f"{name}={path}" if name else path


def _option(text: str, default: Any, flag: str | None = None, metavar: str | None = None) -> Any:
    """A setting that a user may give, with what the command line and the flow say of it.

    Its flag is its name; a shorter one may stand beside.
    """
    metadata = {"help": text, "flag": flag, "metavar": metavar}
    how = {"default_factory": default} if callable(default) else {"default": default}
    return field(metadata=metadata, **how)


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do.

    A field that is an `_option` is a flag of `dicomhouse build` and a parameter of the flow.
    """

    sources: tuple[str, ...]
    """Each `PLACE` or `NAME=PLACE`; none: those that the warehouse has, where they were."""
    warehouse: Path
    jobs: int = _option("worker processes (default: one a core)", lambda: os.cpu_count() or 1)
    dask: str = _option("read the files on the workers of the Dask scheduler at ADDRESS", "")
    batch_files: int = 5_000
    """Files of one batch; a batch ends with a folder where it can, at most at twice this."""
    keep_generations: int = _option("generations to keep (default: 2)", 2, "--keep")
    tolerances: Mapping[str, float] = _option(
        "another tolerance of a check for this run", dict, "--tolerance"
    )
    waivers: Path | None = _option(  # noqa: RUF009
        "the findings that someone has accepted (default: waivers.csv in the warehouse's folder)",
        None,
    )
    expect: Path | None = _option(  # noqa: RUF009
        "a list of what should be there: CSV, Parquet, or a C-FIND's DICOM JSON", None
    )
    include: tuple[str, ...] = _option(
        "read only what a glob matches, such as `*.dcm` or `ward/**`; in files and folders at any "
        "depth, or with a slash in the path below the source; may be given again",
        (), metavar="GLOB",
    )  # fmt: skip
    exclude: tuple[str, ...] = _option(
        "pass over what a glob matches, beside what systems leave (`Thumbs.db`, `._*`, `@eaDir`)",
        (), metavar="GLOB",
    )  # fmt: skip
    settle: int = _option(
        "a folder with a file changed less than so many seconds ago waits for the next run",
        0, metavar="SECONDS",
    )  # fmt: skip
    forget: tuple[str, ...] = _option("take the files of a source out of the warehouse", ())
    full_refresh: bool = _option(
        "read every file of the sources again, whatever the published warehouse says", False
    )
    retry: bool = _option(
        "read again what could not be read in full, though it looks unchanged", False
    )
    verify: bool = _option(
        "read every header and compare, not only the files' sizes and times", False
    )
    pixels: bool = _option(
        "measure the values of the pixels of every file that is new or changed", False
    )
    allow_empty: bool = _option("believe that a source which had files has none any more", False)
    allow_shrink: bool = _option(
        "believe that a source has lost more than a fifth of its files (and ten or more)", False
    )

    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By source, what it has of its own of `include`, `exclude` and `settle`."""
    bounds: Bounds = field(default_factory=default_bounds)
    """What one file may cost a worker."""
    budget: Budget = field(default_factory=default_budget)
    """What the run may spend where it compares pixels."""
    file_id_key: str = field(default_factory=default_file_id_key, repr=False)
    """A secret; empty for the warehouse's own."""

    def __post_init__(self) -> None:
        for name in ("jobs", "batch_files", "keep_generations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1.")
        if self.settle < 0:
            raise UsageError("settle must be 0 seconds or more.")
        for rules in self.rules_by_source().values():
            rules.check()

    def rules_by_source(self) -> dict[str, Rules]:
        """What is read of each source, and under the empty name of all others."""
        return {"": Rules(self.include, self.exclude, self.settle)} | {
            source: Rules(
                tuple(own.get("include", self.include)),
                self.exclude + tuple(own.get("exclude", ())),
                own.get("settle", self.settle),
            )
            for source, own in self.rules.items()
        }

    def as_json(self) -> dict[str, Any]:
        """All of them but the names of what is forgotten."""
        plain = asdict(self)
        del plain["forget"], plain["file_id_key"]
        plain |= {name: str(value) for name, value in plain.items() if isinstance(value, Path)}
        return {**plain, "sources": list(self.sources), "tolerances": dict(self.tolerances)}

    def served(self) -> str:
        """What a process tells its flow runs; limits and key stand in its environment."""
        rest = {name: value for name, value in self.as_json().items() if name not in _LIMITS}
        return json.dumps({**rest, "forget": list(self.forget)})

    @classmethod
    def of_served(cls, text: str, **chosen: bool) -> Self:
        """The settings that `served` told, but for what a flow run has chosen."""
        return cls.of_plain({**json.loads(text), **chosen})

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Self:
        """The settings that JSON or a flow's parameters hold, as texts and lists."""
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        paths = {
            setting.name: Path(values[setting.name])
            for setting in fields(cls)
            if str(setting.type).startswith("Path") and values.get(setting.name)
        }
        return cls(**{**values, **lists, **paths})
