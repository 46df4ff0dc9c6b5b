"""A stream that ends the reading of a file which asks for more than its bounds allow."""

from __future__ import annotations

from typing import BinaryIO, NoReturn

from dicomhouse.dicom.bounds import Bounds

_HEAD = 8
_READS_PER_OBJECT = 4
_LARGE = 1 << 16


class Exceeded(Exception):
    """A bound of `Bounds` was reached; the message is the file's reason."""


class Metered:
    """What pydicom reads a file through. Every element and item begins with a read of 8 bytes.

    Nothing is read beyond `limit`. pydicom turns some exceptions into others, so `exceeded` keeps
    the reason.
    """

    def __init__(self, stream: BinaryIO, size: int, bounds: Bounds) -> None:
        self.stream = stream
        self.seek = stream.seek
        self.tell = stream.tell
        self.size = self.limit = size
        self.bounds = bounds
        self.exceeded: str | None = None
        self._reads = 0
        self._bytes = 0
        self._objects = 0

    def read(self, size: int = -1) -> bytes:
        """Raises `Exceeded` before more is read, or more objects are begun, than the bounds say."""
        if size < 0:
            size = self.size
        if size > _LARGE or self.limit < self.size:
            # A length that a file claims is not one that it has.
            size = min(size, max(0, self.limit - self.tell()))
        self._reads += 1
        self._bytes += size
        if size == _HEAD:
            self.count(1)
        if self._reads > _READS_PER_OBJECT * self.bounds.max_objects:
            self.count(self.bounds.max_objects)
        if self._bytes > self.bounds.max_header_bytes:
            self.exceed(f"too_long: a header of more than {self.bounds.max_header_bytes} bytes")
        return self.stream.read(size)

    def count(self, objects: int) -> None:
        """Take objects into account that are about to be made."""
        self._objects += objects
        if self._objects > self.bounds.max_objects:
            most = self.bounds.max_objects
            self.exceed(f"too_many: more than {most} elements and items for pydicom to read")

    def exceed(self, reason: str) -> NoReturn:
        self.exceeded = reason
        raise Exceeded(reason)
