"""The error family: what a user may meet, each with the exit code it ends the program with.

A message says what failed, where, and what to do next, and never holds a value read from a
file. Names of sources and folders, which may be a patient's, are told the user alone: Prefect's
logs and database leave them out. Anything that is not a `DicomhouseError` is a bug and keeps its
traceback.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Self


class DicomhouseError(Exception):
    """An expected failure, shown to the user without a traceback."""

    exit_code = 3

    def __init__(self, text: str, **names: object) -> None:
        """Say what failed.

        Args:
            text: what the user is told; a template of `str.format` where there are names.
            names: what identifies: the name of a source, the path of a folder.
        """
        self.message = text.format(**names) if names else text
        self._nameless = text.format(**{name: f"<{name}>" for name in names}) if names else text
        super().__init__(self.message)

    def without_names(self) -> Self:
        """The same failure with `<source>` for a source's name; `message` has it still."""
        nameless = type(self)(self._nameless)
        nameless.message = self.message
        return nameless


class ModelsFailed(DicomhouseError):
    """dbt models or error-severity tests failed; the published warehouse is unchanged."""

    exit_code = 1


class UsageError(DicomhouseError):
    """Wrong words on the command line, or a path that is not there."""

    exit_code = 2


def unknown(what: str, name: str, known: Collection[str]) -> UsageError:
    """No such name: which were nearest, or where none is near, all that there are."""
    from difflib import get_close_matches

    if nearest := get_close_matches(name, known):
        return UsageError(f"no {what} {name}; the nearest: {', '.join(nearest)}.")
    return UsageError(f"no {what} {name}; there are: {', '.join(sorted(known))}.")


class WarehouseNotFound(DicomhouseError):
    """No published warehouse where one was asked for."""

    exit_code = 3


class NothingSettled(WarehouseNotFound):
    """Nothing was published yet, and every file that was found may still be arriving."""


class WarehouseTooNew(DicomhouseError):
    """The warehouse has a form that a later dicomhouse introduced."""

    exit_code = 3


class WarehouseBusy(DicomhouseError):
    """Another run is building the same warehouse."""

    exit_code = 4


class StorageError(DicomhouseError):
    """The warehouse cannot be written: disk full, read-only, no rights."""

    exit_code = 5


class StorageStalled(StorageError):
    """The storage did not answer; a moment later it may."""


class QueryError(DicomhouseError):
    """A query that DuckDB does not accept, or that would write."""

    exit_code = 6


class SourceLost(DicomhouseError):
    """A source that the warehouse has files of is gone, or holds none or far fewer any more."""

    exit_code = 8


class ExtractionFailed(DicomhouseError):
    """One or more batches of files could not be turned into parts of the lake."""

    exit_code = 7


class ServerFailed(DicomhouseError):
    """The Prefect server of a run did not start, or ended during it."""

    exit_code = 9


class PixelsFailed(DicomhouseError):
    """Pixels cannot be decoded, or slices do not form a volume."""

    exit_code = 10


class Interrupted(DicomhouseError):
    """The run was asked to stop."""

    exit_code = 130
