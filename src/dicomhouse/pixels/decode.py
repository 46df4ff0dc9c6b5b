"""Stored values of one frame, whatever its transfer syntax.

Codestreams say themselves how large they are: one that claims another size than the header is not
handed to a decoder, since some of them allocate whatever is claimed (65535 x 65535 took minutes or
8 GB). Decoders are chosen by name, the fastest that is right first (docs/pixels.md).
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from typing import Any, cast

import numpy as np
import pydicom.uid as uids
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, DecodeRunner, get_decoder
from pydicom.pixels.processing import convert_color_space

from dicomhouse.errors import PixelsFailed

Array = np.ndarray[Any, Any]

MOST_SAMPLES = 1 << 28
"""Of one frame: 16,384 x 16,384, or 512 MB of 16-bit samples."""

_JPEG = (uids.JPEGBaseline8Bit, uids.JPEGExtended12Bit, uids.JPEGLossless, uids.JPEGLosslessSV1,
         uids.JPEGLSLossless, uids.JPEGLSNearLossless)  # fmt: skip
_JPEG_2000 = (uids.JPEG2000Lossless, uids.JPEG2000, uids.HTJ2KLossless, uids.HTJ2K,
              uids.HTJ2KLosslessRPCL)  # fmt: skip
_PLUGINS = {
    uids.RLELossless: "pylibjpeg",
    **dict.fromkeys(_JPEG_2000, "pylibjpeg"),
    **dict.fromkeys(_JPEG, "imagecodecs"),
}
_SIZES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG or JPEG-LS frame header (ITU-T T.81, B.2.2; T.87, C.2.2)."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""


class OtherShape(PixelsFailed):
    """A frame is not of Rows x Columns."""


def decode_frame(dataset: Dataset, index: int = 0, all_bits: bool = False) -> Array:
    """The stored values of a frame: (rows, columns), or (rows, columns, samples) of colour.

    Signed where PixelRepresentation says so; colour is as it is stored, but for the transform to
    RGB that decoders of JPEG do. Float and double float pixel data are given as they are.

    Args:
        dataset: a whole data set, with its file meta information.
        index: the frame, from 0.
        all_bits: leave the bits beyond BitsStored as they are, where nothing else has used them.

    Raises:
        OtherShape: it is not of Rows x Columns.
        PixelsFailed: naming what is wrong; also where a decoder ends by anything but an error.
    """
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if not rows or not columns:
        raise PixelsFailed(f"Rows x Columns is {rows} x {columns}.")
    if rows * columns * samples > MOST_SAMPLES:
        raise PixelsFailed(
            f"a frame of {rows} x {columns} x {samples} samples is beyond the bound."
        )
    syntax = dataset.file_meta.get("TransferSyntaxUID") or uids.ImplicitVRLittleEndian  # PS3.5 10.1
    try:
        decoder = _decoder(uids.UID(syntax))
        if uids.UID(syntax).is_encapsulated:
            stream = get_frame(
                dataset.PixelData, index, number_of_frames=int(dataset.get("NumberOfFrames") or 1)
            )
            _check_size(stream, rows, columns)
        plugin = _PLUGINS.get(syntax, "")
        array, properties = decoder.as_array(
            dataset, index=index, raw=samples == 1, decoding_plugin=plugin,
            **cast(Any, {"correct_unused_bits": not all_bits}),
        )  # fmt: skip
    except PixelsFailed:
        raise
    except BaseException as error:  # decoders in Rust and C raise what is not an Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise PixelsFailed(f"cannot be decoded: {_first_line(error)}") from error
    if array.ndim == 3 and str(properties.get("photometric_interpretation")).startswith("YBR_FULL"):
        with suppress(ValueError, NotImplementedError):
            array = convert_color_space(array, "YBR_FULL", "RGB", per_frame=True)
    if array.shape[:2] != (rows, columns):
        raise OtherShape(
            f"Rows x Columns is {rows} x {columns}, decoded were "
            f"{array.shape[0]} x {array.shape[1]}."
        )
    return cast(Array, array)


@cache
def decoder_name(syntax: uids.UID) -> str | None:
    """What decodes a transfer syntax, with its release; None where nothing is to be decoded."""
    from importlib.metadata import version

    if not (syntax.is_transfer_syntax and syntax.is_encapsulated):
        return None
    package = {**dict.fromkeys(_JPEG_2000, "pylibjpeg-openjpeg"), uids.RLELossless: "pylibjpeg-rle"}
    name = package.get(syntax, "imagecodecs")
    return f"{name} {version(name)}"


def codestream_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns as a JPEG, JPEG-LS or JPEG 2000 codestream has them; None where it has not.

    Sources: ITU-T T.81 B.2.2, T.87 C.2.2, T.800 A.5.1 (SIZ).
    """
    if stream[:4] == b"\xff\x4f\xff\x51" and len(stream) >= 24:
        x, y, x_offset, y_offset = struct.unpack_from(">4I", stream, 8)
        return y - y_offset, x - x_offset
    if stream[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _SIZES and at + 9 <= len(stream):
            rows, columns = struct.unpack_from(">2H", stream, at + 5)
            return rows, columns
        else:
            at += 2 + struct.unpack_from(">H", stream, at + 2)[0]
    return None


def _check_size(stream: bytes, rows: int, columns: int) -> None:
    size = codestream_size(stream)
    if size is not None and size != (rows, columns):
        raise OtherShape(
            f"Rows x Columns is {rows} x {columns}, the codestream is of {size[0]} x {size[1]}."
        )


def _first_line(error: BaseException) -> str:
    """What a decoder said, without what may stand behind it."""
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__


@cache
def _decoder(syntax: uids.UID) -> Decoder:
    decoder = get_decoder(syntax)
    if syntax in _JPEG:
        decoder.add_plugin("imagecodecs", ("dicomhouse.pixels.decode", "decode_jpeg"))
    return decoder


def is_available(syntax: uids.UID) -> bool:
    """Whether imagecodecs is installed: pydicom asks this of a module with a decoder."""
    from importlib.util import find_spec

    return find_spec("imagecodecs") is not None


DECODER_DEPENDENCIES = dict.fromkeys(_JPEG, ("imagecodecs",))
"""As pydicom wants it of a module with a decoder."""


def _colour_spaces(runner: DecodeRunner) -> dict[str, Any]:
    """How the samples are stored, which the stream itself may leave open, and RGB as wanted."""
    if runner.samples_per_pixel == 1:
        return {}
    is_rgb = str(runner.photometric_interpretation) == "RGB"
    return {"colorspace": "RGB" if is_rgb else "YCBCR", "outcolorspace": "RGB"}


def decode_jpeg(stream: bytes, runner: DecodeRunner) -> bytearray:
    """JPEG and JPEG-LS by imagecodecs, as a plugin of pydicom's decoders."""
    import imagecodecs

    syntax = runner.transfer_syntax
    if syntax in (uids.JPEGLSLossless, uids.JPEGLSNearLossless):
        array = imagecodecs.jpegls_decode(stream)
    elif syntax in (uids.JPEGLossless, uids.JPEGLosslessSV1):
        array = imagecodecs.ljpeg_decode(stream)
    else:
        array = imagecodecs.jpeg_decode(stream, **_colour_spaces(runner))
    runner.set_option("bits_allocated", 8 * array.dtype.itemsize)
    if array.ndim == 3:
        runner.set_option("planar_configuration", 0)
        if str(runner.photometric_interpretation).startswith("YBR"):
            runner.set_option("photometric_interpretation", "RGB")
    return bytearray(array.astype(array.dtype.newbyteorder("<")).tobytes())
