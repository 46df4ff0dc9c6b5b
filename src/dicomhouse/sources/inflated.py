"""Read deflated bytes from any position on, without unpacking them to anywhere."""

from __future__ import annotations

import errno
import zlib
from io import RawIOBase
from typing import Any

from dicomhouse.sources.opening import Bytes

RAW, GZIP = -15, 31
"""What zlib calls the forms of deflated bytes: those in a zip, and those in a `.gz`."""
_READ_BYTES = 1 << 16
_MOST_PIECE = 1 << 18
"""Bytes that are unpacked at a time, whatever they were packed from."""
_FIRST_STRIDE = 4 << 20
_MOST_STATES = 256

State = tuple[int, int, Any]
"""How much was read and how much unpacked, and the decompressor as it was then."""


class Window(Bytes):
    """A stretch of another stream, as a stream; it closes the other one."""

    def __init__(self, whole: RawIOBase, start: int, size: int) -> None:
        self._whole, self._start = whole, start
        self.size = self._end = size

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._end - self.position)]
        if not view:
            return 0
        self._whole.seek(self._start + self.position)
        n = self._whole.readinto(view) or 0
        self.position += n
        return n

    def close(self) -> None:
        if not self.closed:
            self._whole.close()
        super().close()


class Inflated(Bytes):
    """What some deflated bytes hold.

    Along the way the states of the decompressor are kept, at most some hundred, so that to go
    back takes a share of the whole.

    Args:
        packed: the deflated bytes.
        form: `RAW` or `GZIP`; of the latter several may follow each other.
        most: bytes that they may hold. There is nothing behind them.
        states: those of an earlier stream of the same bytes, which this one goes on to fill.
    """

    def __init__(
        self, packed: RawIOBase, form: int, most: int, states: list[State] | None = None
    ) -> None:
        self._packed, self._form, self._most = packed, form, most
        self.states = [] if states is None else states
        if not self.states:
            self.states.append((0, 0, zlib.decompressobj(form)))
        self._unpacked = 1  # so that it begins
        self._begin_at(0)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, unless there is too little left."""
        view = memoryview(buffer).cast("B")
        is_far = self.position >= self._unpacked + _FIRST_STRIDE
        if is_far or self.position < self._unpacked - len(self._piece):
            self._begin_at(self.position)
        n = 0
        while n < len(view) and (self.position < self._unpacked or self._unpack()):
            begin = self.position - (self._unpacked - len(self._piece))
            piece = self._piece[begin : begin + len(view) - n]
            view[n : n + len(piece)] = piece
            self.position += len(piece)
            n += len(piece)
        return n

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()

    def _begin_at(self, position: int) -> None:
        """Go on from the last state before a position, where that is nearer than here."""
        read, unpacked, state = next(
            known for known in reversed(self.states) if known[1] <= position
        )
        if self._unpacked <= position and unpacked <= self._unpacked:
            return
        self._read, self._unpacked, self._state = read, unpacked, state.copy()
        self._piece = self._rest = b""

    def _unpack(self) -> bool:
        """Unpack the next piece; False where there is none."""
        while True:
            if self._state.eof:
                if self._form != GZIP:
                    return False
                self._rest = self._rest or self._next()
                if not self._rest.strip(b"\0"):
                    return False
                self._state = zlib.decompressobj(self._form)
            if not self._rest:
                self._keep_state()
                self._rest = self._next()
            is_end = not self._rest
            try:
                self._piece = self._state.decompress(self._rest, _MOST_PIECE)
            except zlib.error:
                raise OSError(errno.EIO, "the packed bytes are damaged") from None
            if is_end and not self._piece and not self._state.eof:
                raise OSError(errno.EIO, "the packed bytes end too early")
            self._rest = self._state.unused_data or self._state.unconsumed_tail
            self._unpacked += len(self._piece)
            if self._unpacked > self._most:
                raise OSError(errno.EFBIG, f"more than {self._most:,} bytes unpacked")
            if self._piece:
                return True

    def _next(self) -> bytes:
        self._packed.seek(self._read)
        rest = self._packed.read(_READ_BYTES) or b""
        self._read += len(rest)
        return rest

    def _keep_state(self) -> None:
        """Note where we are, now and then; where that is often, the less."""
        read, unpacked, _ = self.states[-1]
        n = len(self.states)
        stride = _FIRST_STRIDE if n < 2 else max(_FIRST_STRIDE, self.states[1][1])
        if unpacked + stride <= self._unpacked and read < self._read:
            self.states.append((self._read, self._unpacked, self._state.copy()))
            if n >= _MOST_STATES:
                del self.states[1::2]
