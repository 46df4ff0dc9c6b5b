"""Runs: the bytes of consecutive elements that two files share, recognised whole.

What has been read so far, bytes and context, decides how the next byte is read, so a run that
begins in the same state is exact. Runs are kept in the context that they begin in.
"""

from __future__ import annotations

from collections.abc import Sequence

from dicomhouse.dicom.context import State
from dicomhouse.dicom.elements import Headers

_MAX_RUN = 1 << 15
_MAX_LEARNED = 16 << 20
_RUNS_PER_PLACE = 6


class Runs:
    """What a batch has learned, apart from the runs themselves, which contexts keep."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers
        self.forget()

    def forget(self) -> None:
        """Begin anew, as the contexts with all runs in them were dropped."""
        self.last: set[int] = set()
        """The references of the file before."""
        self.n_bytes = 0
        """Bytes of all runs learned so far."""

    def add(self, data: bytes, before: State, after: State, references: Sequence[int]) -> None:
        """Keep the bytes of `data` between two states as a run that gives the references."""
        begin, tag, context, _ = before
        end, tag_after, context_after, creators = after
        size = end - begin
        if size > _MAX_RUN or self.n_bytes > _MAX_LEARNED:
            return
        self.n_bytes += size
        reference = references[0] if len(references) == 1 else self._headers.joined(references)
        runs = context.runs.setdefault(tag, [])
        runs.insert(0, (data[begin:end], reference, (size, tag_after, context_after, creators)))
        del runs[_RUNS_PER_PLACE:]


class Trail:
    """The steps through one file, each an element or a run."""

    __slots__ = ("_runs", "_start", "alone", "references", "states")

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._start = 0
        """References before the states."""
        self.references: list[int] = []
        """What each step gave."""
        self.states: list[State] = []
        """Before each step since the buffer was filled anew, and after the last one."""
        self.alone: list[int] = []
        """The steps since then that were no run."""

    def learn(self, data: bytes) -> None:
        """Make runs of the steps through `data` that the file before had too."""
        states, alone, last = self.states, self.alone, self._runs.last
        references = self.references[self._start :]
        start = 0
        for i, reference in enumerate((*references, None)):
            if reference in last:
                continue
            if start == i:
                start = i + 1
                continue
            if i - start > 1 or start in alone:
                # Within a private block the meaning depends on elements before the run.
                while start < i and _is_within_block(data, states[start]):
                    start += 1
                if i - start > 1 or (i > start and start in alone):
                    self._runs.add(data, states[start], states[i], references[start:i])
            start = i + 1

    def leap(self, data: bytes, reference: int) -> None:
        """Add a step that leaves `data` behind, after learning all before it."""
        self.learn(data)
        self.references.append(reference)
        self._start = len(self.references)
        self.states.clear()
        self.alone.clear()


def _is_within_block(data: bytes, state: State) -> bool:
    """Whether an element of a private group stands before a state, and one of it behind."""
    pos, tag, _, _ = state
    return bool(tag & 0x10000) and tag >> 16 == int.from_bytes(data[pos : pos + 2], "little")
