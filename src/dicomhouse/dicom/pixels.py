"""The bytes of pixel data, for what must tell two images apart: read only when asked for."""

from __future__ import annotations

import os
import warnings
from hashlib import blake2b
from typing import BinaryIO

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.parse import Parser

_CHUNK = 1 << 20


def pixel_digest(stream: BinaryIO) -> str:
    """BLAKE2b-128 of the pixel data's value field.

    Of encapsulated data that is all of its items. A deflated file, and one in which no pixel data
    can be found, is digested as it stands.

    Args:
        stream: the file's bytes, seekable.
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
        return _whole(stream)
    # Of a deflated file nobody knows how much it holds.
    if parser.is_deflated or parser.pixels is None:
        return _whole(stream)
    return _digest(stream, parser.pixels.start, parser.pixels.end)


def _whole(stream: BinaryIO) -> str:
    return _digest(stream, 0, stream.seek(0, os.SEEK_END))


def _digest(stream: BinaryIO, start: int, end: int) -> str:
    digest = blake2b(digest_size=16)
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        digest.update(chunk)
        start += len(chunk)
    return digest.hexdigest()
