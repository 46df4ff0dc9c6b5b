"""What would stop a run, looked for before one is due: nothing is read, nothing is published."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from dicomhouse.cache import cache_folder, own_folder
from dicomhouse.errors import DicomhouseError
from dicomhouse.run import checks, orchestrator
from dicomhouse.settings import Settings
from dicomhouse.store import generations

_SERVER_SECONDS = 10
_LEAST_BYTES = 200_000_000
"""What a run needs beside the lake: its DuckDB file, what it spills, the report."""


@dataclass(frozen=True)
class Diagnosis:
    """What came of one look: `state` is `ok`, `warning`, or `stops`, where no run can succeed."""

    what: str
    state: str
    message: str


def diagnose(settings: Settings) -> Iterator[Diagnosis]:
    """Look at all that a run needs; each as soon as it is known."""
    looks: Sequence[tuple[str, Callable[[Settings], tuple[str, str]]]] = (
        ("versions", _versions),
        ("warehouse", _warehouse),
        ("disk", _disk),
        ("links", _links),
        ("sources", _sources),
        ("cache", _cache),
        ("decoders", _decoders),
        ("server", _server),
    )
    for what, look in looks:
        try:
            state, message = look(settings)
        except DicomhouseError as error:
            state, message = "stops", error.message
        except OSError as error:
            state, message = "stops", f"{type(error).__name__}: {error.strerror}."
        yield Diagnosis(what, state, message)


def _versions(settings: Settings) -> tuple[str, str]:
    from packaging.requirements import Requirement

    wrong = []
    wanted = map(Requirement, requires("dicomhouse") or ())
    for one in (one for one in wanted if one.marker is None):
        try:
            if version(one.name) not in one.specifier:
                wrong.append(f"{one.name} {version(one.name)} is not {one.specifier}")
        except PackageNotFoundError:
            wrong.append(f"{one.name} is not installed")
    if wrong:
        return "stops", f"{'; '.join(wrong)}. Install dicomhouse anew, from its lock."
    python = ".".join(map(str, sys.version_info[:3]))
    names = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dbt-core", "prefect"))
    return "ok", f"dicomhouse {version('dicomhouse')}, Python {python}, {names}"


def _warehouse(settings: Settings) -> tuple[str, str]:
    """Take the warehouse as a run does: its mark, its rights, its lock, its generations."""
    folder = settings.warehouse
    if not folder.exists():
        above = _there(folder)
        if not os.access(above, os.W_OK | os.X_OK):
            return "stops", f"{folder} is not there, and {above} is not yours to write."
        return "ok", "a run will make it"
    with generations.building(folder):
        pass
    current = generations.current(folder)
    return "ok", "nothing published yet" if current is None else f"generation {current.number}"


def _disk(settings: Settings) -> tuple[str, str]:
    free = shutil.disk_usage(_there(settings.warehouse)).free
    current = generations.current(settings.warehouse)
    size = 0 if current is None else current.database.stat().st_size
    lake = 0 if current is None else current.run()["lake_bytes"]
    least = _LEAST_BYTES + 3 * size
    message = f"{free / 1e9:,.1f} GB free; a run takes some {least / 1e9:,.1f} GB and what is new"
    if free < least:
        return "stops", f"{message}. Free space, or keep fewer generations (--keep)."
    if free < least + lake:
        return "warning", f"{message}; to read all files again, {(least + lake) / 1e9:,.1f} GB."
    return "ok", message


def _links(settings: Settings) -> tuple[str, str]:
    """Try both kinds of link where the warehouse is, or will be."""
    with TemporaryDirectory(prefix=".doctor-", dir=_there(settings.warehouse)) as name:
        file = Path(name, "file")
        file.touch()
        try:
            Path(name, "symbolic").symlink_to("file")
        except OSError as error:
            return "stops", f"no symbolic links here: {error.strerror}. Choose another disk."
        try:
            Path(name, "hard").hardlink_to(file)
        except OSError as error:
            return "warning", f"no hard links here: {error.strerror}. Each run copies the lake."
    return "ok", "symbolic and hard ones"


def _sources(settings: Settings) -> tuple[str, str]:
    """Check them as a run does, and whether they can be looked into."""
    checks.check_settings(settings)
    current = generations.current(settings.warehouse)
    known = {} if current is None else current.run()["sources"]
    if not settings.sources and not known:
        return "ok", "none named"
    checks.check_sources(settings)
    for name, address in known.items():
        if Path(address).is_dir() and not any(Path(address).iterdir()):
            return "stops", f"source {name}: nothing below {address}. Is it mounted?"
    return "ok", f"{max(len(known), len(settings.sources))} to look through"


def _cache(settings: Settings) -> tuple[str, str]:
    folder = cache_folder()
    own_folder(folder)
    return "ok", str(folder)


def _decoders(settings: Settings) -> tuple[str, str]:
    try:
        checks.check_decoders()
    except DicomhouseError as error:
        return ("stops" if settings.pixels else "warning"), error.message
    return "ok", "all that pixels need"


def _server(settings: Settings) -> tuple[str, str]:
    url = orchestrator.api_url()
    if url is None:
        return "ok", "none is configured: builds run without one"
    request = Request(f"{url}/admin/version")
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        from base64 import b64encode

        request.add_header("authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urlopen(request, timeout=_SERVER_SECONDS) as answer:
            theirs = answer.read(40).decode(errors="replace").strip('"\n')
    except HTTPError as error:
        why = "refuses the login" if error.code in (401, 403) else f"answers {error.code}"
        return "stops", f"Prefect's server at {url} {why}. Mend PREFECT_API_AUTH_STRING."
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        return "stops", f"Prefect's server at {url} does not answer: {reason}. Start it."
    ours = version("prefect")
    if theirs.rsplit(".", 1)[0] != ours.rsplit(".", 1)[0]:
        return "warning", f"Prefect's server is {theirs}, this is {ours}"
    return "ok", f"Prefect {theirs} at {url}"


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.is_dir())
