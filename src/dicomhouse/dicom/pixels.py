"""The bytes of pixel data, for what must tell two images apart: read only when asked for."""

from __future__ import annotations

import math
import os
import time
import warnings
from hashlib import blake2b
from typing import BinaryIO

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.parse import Parser

_CHUNK = 1 << 20


def pixel_digest(stream: BinaryIO, deadline: float = math.inf) -> str:
    """BLAKE2b-128 of the pixel data's value field.

    Of encapsulated data that is all of its items. A deflated file, and one in which no pixel data
    can be found, is digested as it stands.

    Args:
        stream: the file's bytes, seekable.
        deadline: when to stop, by `time.monotonic()`.

    Raises:
        Exceeded: the time was over before all was read.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    parser = Parser(stream, size, Bounds())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser.parse()
    except Exception as error:  # a bound, or whatever pydicom raises; the reader has told it
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return _whole(stream, deadline)
    # Of a deflated file nobody knows how much it holds.
    if parser.is_deflated or parser.pixels is None:
        return _whole(stream, deadline)
    return _digest(stream, parser.pixels.start, parser.pixels.end, deadline)


def _whole(stream: BinaryIO, deadline: float) -> str:
    return _digest(stream, 0, stream.seek(0, os.SEEK_END), deadline)


def _digest(stream: BinaryIO, start: int, end: int, deadline: float) -> str:
    digest = blake2b(digest_size=16)
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        if time.monotonic() > deadline:
            raise Exceeded("over_budget: of time to read pixels")
        digest.update(chunk)
        start += len(chunk)
    return digest.hexdigest()
