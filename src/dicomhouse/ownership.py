"""Whose a folder is, and who else may look into it or write there."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR


def make_private_folder(folder: Path) -> None:
    """Make a folder its owner's alone, with all that is made in it under a umask of 077.

    A default ACL, which it has from the folder that it stands in and which would stand in for the
    umask, is taken from it.

    Raises:
        OSError: it cannot be made, is another user's, or the file system knows no owners.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.lstat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it is another user's")
    folder.chmod(0o700)
    with suppress(OSError, AttributeError):  # there is none, here or on this system
        os.removexattr(folder, "system.posix_acl_default")
    if not is_private_folder(folder):
        raise PermissionError(errno.EPERM, "its file system keeps nothing to its owner alone")


def may_be_written_by_others(status: os.stat_result) -> bool:
    """Whether a file or folder is another user's, or open for writing to others."""
    return status.st_uid != os.geteuid() or bool(status.st_mode & 0o022)


def is_private_folder(folder: Path) -> bool:
    """Whether it is a folder, and no link to one, of this user's that nobody else may look into."""
    status = folder.lstat()
    is_own = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return S_ISDIR(status.st_mode) and is_own
