"""`dicomhouse.toml`: what the runs of a warehouse share. The environment and flags override it.

It is read by tomllib and checked here: a misspelt key, or a value of another type, ends the command
and names the line. (pydantic-settings passes over what it does not know, knows no lines, and takes
three times as long to import as a `--help` takes.)
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dicomhouse.dicom.bounds import Bounds, Budget
from dicomhouse.errors import UsageError
from dicomhouse.ownership import may_be_written_by_others
from dicomhouse.settings import Settings, absolute_source

NAME = "dicomhouse.toml"
_OF_ONE_RUN = frozenset(
    {"forget", "full_refresh", "retry", "verify", "allow_empty", "allow_shrink"}
)
"""Settings that a file would make permanent, and should not."""
SETTINGS = {
    setting.name: str(setting.type)
    for setting in fields(Settings)
    if "help" in setting.metadata and setting.name not in _OF_ONE_RUN
}
"""Keys that are settings, with their types."""
_PATHS = {name for name, kind in SETTINGS.items() if "Path" in kind}
SOURCE = {
    "name": "str", "address": "str",
    **{name: SETTINGS[name] for name in ("include", "exclude", "settle")},
}  # fmt: skip
SCHEDULE = {"cron": "str", "every": "int", "timezone": "str", "notify": "str"}
_LIMITS = {"bounds": Bounds, "budget": Budget}
_TYPES = {
    "int": "a whole number from 0 on", "bool": "true or false", "str": "a text",
    "Path | None": "a text", "tuple[str, ...]": "a list of texts",
    "Mapping[str, float]": "a table of numbers",
}  # fmt: skip
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_HEADER = re.compile(r"\s*(\[\[?)\s*([\w-]+)\s*\]")
_KEY = re.compile(r"\s*([\w-]+)\s*=")


@dataclass(frozen=True)
class Configuration:
    """What was written down; empty where nothing was."""

    warehouse: Path = Path("warehouse")
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `Settings`, those of the environment too."""
    sources: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = field(default_factory=dict)

    def settings_of(
        self, sources: Sequence[str], warehouse: Path, folder: Path, given: Mapping[str, Any]
    ) -> Settings:
        """The settings of a run.

        Args:
            sources: those that it was given; none for the file's.
            warehouse: where it is, below `folder` or anywhere.
            folder: the one that paths were named from.
            given: settings that it was given, which override the others.
        """
        chosen = {**self.settings, **given}
        chosen["rules"] = {
            source: {name: value for name, value in own.items() if name not in given}
            for source, own in chosen.get("rules", {}).items()
        }
        for name in chosen.keys() & _PATHS:
            chosen[name] = folder / chosen[name]
        texts = tuple(absolute_source(text, folder) for text in sources) or self.sources
        return Settings(texts, folder / warehouse, **chosen)


def find(named: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file to read: the one that is named, or the working folder's if it is the user's own."""
    if named is None and environment.get("DICOMHOUSE_CONFIG"):
        named = Path(environment["DICOMHOUSE_CONFIG"])
    if named is not None or not Path(NAME).is_file():
        return named
    if may_be_written_by_others(Path(NAME).stat()):
        print(
            f"{NAME} is passed over: it is another user's, or others may write it. --config {NAME} "
            "reads it all the same.",
            file=sys.stderr,
        )
        return None
    return Path(NAME)


def read(file: Path | None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """What a file and the environment say; relative paths in a file begin where it lies.

    Raises:
        UsageError: the file cannot be read, or says what nobody understands.
    """
    content = {} if file is None else _checked(file)
    folder = Path() if file is None else file.resolve().parent
    settings = {name: _plain(content[name]) for name in SETTINGS if name in content}
    for name in settings.keys() & _PATHS:
        settings[name] = folder / Path(settings[name]).expanduser()
    of_environment = _of_environment(environment)
    settings |= of_environment
    sources: list[str] = []
    rules: dict[str, dict[str, Any]] = {}
    for source in content.get("sources", ()):
        sources.append(absolute_source(f"{source['name']}={source['address']}", folder))
        own = source.keys() & SETTINGS.keys() - of_environment.keys()
        rules[source["name"]] = {name: source[name] for name in own}
    for name in _LIMITS:  # for this process and those that it starts, as the environment has them
        if name in content:
            limits = " ".join(f"{limit}={number}" for limit, number in content[name].items())
            os.environ.setdefault(f"DICOMHOUSE_{name.upper()}", limits)
    warehouse = (
        environment.get("DICOMHOUSE_WAREHOUSE")
        or folder / Path(content.get("warehouse", "warehouse")).expanduser()
    )
    return Configuration(
        Path(warehouse), settings | {"rules": rules}, tuple(sources), content.get("schedule", {})
    )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _of_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Settings of variables such as `DICOMHOUSE_SETTLE=600`; those of lists separate by blanks."""
    found: dict[str, Any] = {}
    for name, kind in SETTINGS.items():
        variable = f"DICOMHOUSE_{name.upper()}"
        text = environment.get(variable)
        if not text:
            continue
        try:
            match kind:
                case "int":
                    found[name] = int(text)
                case "bool":
                    found[name] = _TRUTHS[text.lower()]
                case "tuple[str, ...]":
                    found[name] = tuple(text.split())
                case "Mapping[str, float]":
                    pairs = (pair.partition("=") for pair in text.split())
                    found[name] = {key: float(number) for key, _, number in pairs}
                case "Path | None":
                    found[name] = Path(text)
                case _:
                    found[name] = text
        except (ValueError, KeyError):
            raise UsageError(f"{variable} takes {_TYPES[kind]}.") from None
    return found


def _checked(file: Path) -> dict[str, Any]:
    """What a file says, once every key is known and every value of its type."""
    import tomllib

    try:
        text = file.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except (OSError, ValueError) as error:  # whose text has line and column
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {{file}}: {reason}.", file=file) from None

    def refuse(place: tuple[str | int, ...], words: str) -> UsageError:
        line = _line(text, place)
        where = "{file}" if line is None else f"{{file}}, line {line}"
        key = ".".join(str(part) for part in place if isinstance(part, str))
        return UsageError(f"{where}: {{key}} {words}", file=file, key=key)

    def check(table: Any, place: tuple[str | int, ...], keys: Mapping[str, str]) -> None:
        if not isinstance(table, dict):
            raise refuse(place, "has to be a table.")
        for key, value in table.items():
            if key not in keys:
                known = ", ".join(sorted(keys))
                raise refuse((*place, key), f"is no key there; there are: {known}.")
            if keys[key] in _TYPES and not _is_of(keys[key], value):
                raise refuse((*place, key), f"has to be {_TYPES[keys[key]]}.")

    tables = dict.fromkeys(("sources", "schedule", *_LIMITS), "table")
    check(content, (), {"warehouse": "str", **SETTINGS, **tables})
    for name, limits in _LIMITS.items():
        check(content.get(name, {}), (name,), {limit.name: "int" for limit in fields(limits)})
    check(content.get("schedule", {}), ("schedule",), SCHEDULE)
    _check_schedule(content.get("schedule", {}), refuse)
    if not isinstance(content.get("sources", []), list):
        raise refuse(("sources",), "are tables, each under [[sources]].")
    for number, source in enumerate(content.get("sources", ())):
        check(source, ("sources", number), SOURCE)
        for key in ("name", "address"):
            if not source.get(key):
                raise refuse(("sources", number), f"lacks {key}.")
    return content


def _check_schedule(schedule: Mapping[str, Any], refuse: Any) -> None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if "cron" in schedule and "every" in schedule:
        raise refuse(("schedule", "every"), "cannot stand beside cron: which of them?")
    try:
        ZoneInfo(schedule.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse(("schedule", "timezone"), "is no time zone, such as Europe/Zurich.") from None


def _is_of(kind: str, value: Any) -> bool:
    match kind:
        case "int":
            return type(value) is int and value >= 0
        case "bool":
            return isinstance(value, bool)
        case "tuple[str, ...]":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case "Mapping[str, float]":
            numbers = value.values() if isinstance(value, dict) else [None]
            return all(type(number) in (int, float) for number in numbers)
    return isinstance(value, str)


def _line(text: str, place: tuple[str | int, ...]) -> int | None:
    """The line in which a key, or a table, stands; None where it is written some other way."""
    table: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = (header[2],)
            if header[1] == "[[":
                table = (header[2], counts.setdefault(header[2], 0))
                counts[header[2]] += 1
            if table == place:
                return number
        elif (key := _KEY.match(line)) and (*table, key[1]) == place:
            return number
    return None
