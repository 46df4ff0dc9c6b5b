"""The bytes of a file that were read so far, for the fast reader."""

from __future__ import annotations

import os
from typing import BinaryIO

from dicomhouse.dicom.context import Unusual


class Buffer:
    """A stretch of a file, `data`, which begins at `base`; it grows, or leaps ahead.

    Args:
        stream: the file's bytes, seekable.
        first_read: bytes that are read before it is known how many are needed.
        most: bytes that `data` may grow to.
    """

    __slots__ = ("_first_read", "_most", "base", "data", "size", "stream")

    def __init__(self, stream: BinaryIO, first_read: int, most: int) -> None:
        self.stream = stream
        self._first_read = first_read
        self._most = most
        self.size = stream.seek(0, os.SEEK_END)
        """Of the file."""
        stream.seek(0)
        self.base = 0
        self.data = stream.read(first_read)

    def grow(self, end: int) -> None:
        """Read on until `data` reaches `end`, and further, so that this is rare."""
        missing = end - len(self.data)
        if missing <= 0:
            return
        most = self._most
        if self.base + end > self.size or end > most:
            raise Unusual
        pieces = [self.data]
        wanted = max(missing, min(len(self.data), most - len(self.data)))
        while wanted > 0 and (piece := self.stream.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self.data = b"".join(pieces)
        if len(self.data) < end:
            raise Unusual

    def leap(self, position: int) -> None:
        """Begin anew at a position of the file."""
        if position > self.size:
            raise Unusual
        self.stream.seek(position)
        self.base = position
        self.data = self.stream.read(self._first_read)
        self.grow(min(8, self.size - position))

    def is_padding(self) -> bool:
        """Whether all from `base` to the file's end is there and nothing but zeros."""
        data = self.data
        return self.base + len(data) == self.size and not data.strip(b"\0")
