"""The command line: a module a command, with its options, its call and its output."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dicomhouse.processes import supervise

SUPERVISED = frozenset({"build", "demo", "pixels", "serve"})
"""Commands that run in a child process, which leaves nothing behind however it ends."""
_IS_CHILD = "DICOMHOUSE_SUPERVISED"
_FIRST_STEPS = """\
Folders of DICOM files in, a tested warehouse of their tags out.

  dicomhouse demo                                a warehouse of files that pydicom brings
  dicomhouse build FOLDER --warehouse DIR        one of your own
  dicomhouse check --warehouse DIR               what is wrong in it
  dicomhouse --help                              all commands; each has a --help of its own
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, in a child where it is to be supervised; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print(_FIRST_STEPS, end="", file=sys.stderr)
        return 2
    is_supervised = words[0] in SUPERVISED
    if is_supervised and os.environ.pop(_IS_CHILD, None) is None:
        os.environ[_IS_CHILD] = "1"
        return supervise(["-m", "dicomhouse", *words])
    from dicomhouse.cli import commands  # only now: who supervises waits for none of them

    return commands.run(words, is_supervised)
