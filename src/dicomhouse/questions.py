"""Questions that analysts ask by name: the SQL of `sql/reports/`, with what its head says of it.

A file begins with comment lines: what it answers, then a line for each parameter, as in
`-- param patient (needed): a PatientID`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dicomhouse.errors import UsageError, unknown
from dicomhouse.resources import resource

_PARAMETER = re.compile(r"param (\w+)( \(needed\))?: (.+)")


@dataclass(frozen=True)
class Parameter:
    """A value that a question takes; without one that is not needed it asks of everything."""

    name: str
    is_needed: bool
    text: str


@dataclass(frozen=True)
class Question:
    """A statement under a name; `getvariable('name')` in it reads a parameter."""

    name: str
    text: str
    parameters: tuple[Parameter, ...]
    sql: str

    def variables(self, given: Mapping[str, str]) -> dict[str, str | None]:
        """All parameters by name, null where they are not given.

        Raises:
            UsageError: a needed one is missing, or one is given that it does not take.
        """
        taken = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in taken:
                takes = ", ".join(sorted(taken)) or "none"
                raise UsageError(f"{self.name} takes no parameter {name}; it takes: {takes}.")
        for parameter in self.parameters:
            if parameter.is_needed and parameter.name not in given:
                raise UsageError(
                    f"{self.name} needs --param {parameter.name}=..., {parameter.text}."
                )
        return {name: given.get(name) for name in taken}


def questions() -> list[Question]:
    """All of them, by name."""
    return [
        _question(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(resource("sql", "reports").glob("*.sql"))
    ]


def question(name: str) -> Question:
    """The one of this name, or of one's own in a file that ends with `.sql`.

    Raises:
        UsageError: there is none; the message names those that are.
    """
    if name.endswith(".sql"):
        try:
            return _question(Path(name).stem, Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise UsageError(f"cannot read the report {name}: {reason}.") from error
    named = {question.name: question for question in questions()}
    if name not in named:
        raise unknown("report", name, named)
    return named[name]


def _question(name: str, sql: str) -> Question:
    text: list[str] = []
    parameters = []
    for line in sql.splitlines():
        if not line.startswith("-- "):
            break
        if match := _PARAMETER.fullmatch(line[3:]):
            parameters.append(Parameter(match[1], match[2] is not None, match[3]))
        else:
            text.append(line[3:])
    return Question(name, " ".join(text), tuple(parameters), sql)
