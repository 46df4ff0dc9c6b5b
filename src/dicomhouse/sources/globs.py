"""Which of a source's files are looked at: globs as in `.gitignore`, on paths below the source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dicomhouse.errors import UsageError
from dicomhouse.filesystem import Files, below

LEFT_BY_SYSTEMS = (
    "._*", ".DS_Store", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd", "__MACOSX",
    "[Tt]humbs.db", "ehthumbs.db", "[Dd]esktop.ini", "$RECYCLE.BIN", "System Volume Information",
    "@eaDir", "#recycle", "#snapshot", ".snapshot", ".nfs*", ".Trash-*", "lost+found",
)  # fmt: skip
"""What operating systems and file servers leave beside files, which nobody meant to keep."""

_PIECES = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^]/]*\]|.", re.DOTALL)


@dataclass(frozen=True)
class Rules:
    """What is read of a source, and when.

    A glob without a slash is for the name of a file or of a folder at any depth, one with a slash
    for the path below the source; whatever lies below a folder that matches does so too. `*`
    stands for any characters but slashes, `**` for those too.
    """

    include: tuple[str, ...] = ()
    """Where there are any, only what matches one of them is looked at."""
    exclude: tuple[str, ...] = ()
    """Passed over, beside `LEFT_BY_SYSTEMS`."""
    settle: int = 0
    """Seconds: a folder with a file that changed less than so long ago waits for the next run."""

    def check(self) -> None:
        """Raise UsageError for a glob that can match no name."""
        for glob in (*self.include, *self.exclude):
            try:
                is_glob = bool(glob.strip("/")) and re.compile(_translated(glob)) is not None
            except re.error:  # of letters in brackets, such as [z-a]
                is_glob = False
            if not is_glob:
                raise UsageError(
                    "{glob} is no glob. Name files or folders, as in *.dcm or ward/**.",
                    glob=repr(glob),
                )

    def passes_over(self, folder: str) -> bool:
        """Whether nothing below a folder of the source is looked at."""
        return bool(_excluded(self.exclude).search(f"/{folder}"))

    def sift(self, files: Files) -> Files | None:
        """Those of a folder's files that are looked at."""
        excluded, included = _excluded(self.exclude), _expression(self.include)
        if self.passes_over(files.folder):
            return None
        paths = [f"/{below(files.folder, name)}" for name in files.names.split("/")]
        chosen = [not excluded.search(path) and bool(included.search(path)) for path in paths]
        return files.only(chosen) if any(chosen) else None

    def may_sift(self, files: Files) -> bool:
        """Whether `sift` could leave anything out: a quick look at all names at once."""
        if self.include or any("/" in glob for glob in self.exclude):
            return True
        excluded = _excluded(self.exclude)
        return bool(excluded.search(f"/{files.names}") or excluded.search(f"/{files.folder}"))


def _excluded(globs: tuple[str, ...]) -> re.Pattern[str]:
    return _expression(LEFT_BY_SYSTEMS + globs)


@lru_cache
def _expression(globs: Sequence[str]) -> re.Pattern[str]:
    """What is found in `/` and a path where one of the globs matches; of no glob, everywhere."""
    anywhere = [_translated(glob) for glob in globs if "/" not in glob.rstrip("/")]
    whole = [_translated(glob.lstrip("/")) for glob in globs if "/" in glob.rstrip("/")]
    ways = [f"/(?:{'|'.join(anywhere)})(?=/|\\Z)"] if anywhere else []
    ways += [f"\\A/(?:{'|'.join(whole)})(?=/|\\Z)"] if whole else []
    return re.compile("|".join(ways), re.DOTALL)


def _translated(glob: str) -> str:
    return "".join(map(_piece, _PIECES.findall(glob.rstrip("/"))))


def _piece(piece: str) -> str:
    match piece:
        case "**":
            return ".*"
        case "**/":
            return "(?:.*/)?"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if len(piece) > 1:
        negated, letters = piece[1] == "!", piece[1:-1].removeprefix("!")
        letters = re.sub(r"[\\\[\]^]", r"\\\g<0>", letters)
        return f"[^/{letters}]" if negated else f"[{letters}]"
    return re.escape(piece)
