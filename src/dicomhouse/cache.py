"""The user's cache folder: what can be made again, and is read only where it is this user's own.

What lies in a warehouse may come from someone else; what lies here was made by this account.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from dicomhouse.ownership import make_private_folder, may_be_written_by_others


class NotOurs(PermissionError):
    """A file or folder of the cache that is another's, or that others may write."""


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where dicomhouse keeps what it can make again; it need not exist.

    `DICOMHOUSE_CACHE`, or `dicomhouse` in `XDG_CACHE_HOME`, or in `.cache` of the home folder. A
    home that is another user's, as `sudo` leaves it, is passed over for the account's own.
    """
    if own := environment.get("DICOMHOUSE_CACHE"):
        return Path(own).absolute()
    base = environment.get("XDG_CACHE_HOME")  # the specification ignores a relative one
    if base and Path(base).is_absolute():
        return Path(base) / "dicomhouse"
    home = Path(environment.get("HOME") or "/nonexistent")
    with suppress(OSError, KeyError):
        if not home.is_absolute() or home.stat().st_uid != os.geteuid():
            home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    return home / ".cache" / "dicomhouse"


def own_folder(folder: Path) -> Path:
    """Make a folder of the cache where it is not there, and check that it is ours alone to write.

    Raises:
        NotOurs: it is another user's, a link, or writable by others.
        OSError: it cannot be made.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        make_private_folder(folder)
        status = folder.lstat()
    if not S_ISDIR(status.st_mode) or may_be_written_by_others(status):
        raise NotOurs(f"{folder} is not this user's alone")
    return folder


def open_own(path: Path) -> BinaryIO:
    """Open a file of the cache for reading.

    Raises:
        NotOurs: it is another user's, a link, no plain file, or writable by others.
        OSError: it is not there, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if not S_ISREG(status.st_mode) or may_be_written_by_others(status):
        os.close(descriptor)
        raise NotOurs(f"{path} is not this user's alone")
    return os.fdopen(descriptor, "rb")
