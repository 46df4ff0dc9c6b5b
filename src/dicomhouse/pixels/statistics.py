"""What the values of a frame are, from a histogram: exact, and quicker than sorting them.

Nearly all images are one frame of uncompressed grey, whose bytes end the file: those are read and
counted as they lie there. Whatever is otherwise goes through pydicom and the decoders.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID
from xxhash import xxh3_128_hexdigest

from dicomhouse.errors import PixelsFailed
from dicomhouse.filesystem import open_file
from dicomhouse.pixels.decode import Array, OtherShape, decode_frame, decoder_name
from dicomhouse.pixels.slices import (
    MOST_SECONDS,
    as_stored,
    linear,
    output_of,
    read_dataset,
    settle_worker,
)
from dicomhouse.sources.opening import open_place

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
MOST_FRAMES = 65_536
"""Of one file."""
SECONDS_OF_A_FRAME = 0.05
"""That a file may take beyond `slices.MOST_SECONDS`."""
_AHEAD = 8
"""Files that the system is asked for before their turn."""
_BRAIN = (0, 80)
_LUNG = (-1350, 150)
"""Windows in HU of which CT images tell their share (of width 1500 about -600 the latter)."""
_NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
"""Implicit and explicit VR, little endian."""
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_WIDTHS: dict[int, np.dtype[Any]] = {8: np.dtype("u1"), 16: np.dtype("<u2")}

ToOutput = Callable[[Array], Array]
_AS_STORED = linear(1, 0)
Row = dict[str, Any]
"""Of `pixel_stats`, but for what names the file."""


@dataclass(frozen=True, slots=True)
class Image:
    """A file, and what its header says of its pixels; None where it says nothing."""

    file: str
    size_bytes: int
    syntax: str | None
    rows: int | None
    columns: int | None
    samples: int | None
    frames: int | None
    bits_allocated: int | None
    bits_stored: int | None
    is_signed: bool
    slope: float | None
    intercept: float | None
    padding: int | None
    padding_limit: int | None
    is_ct: bool
    is_simple: bool
    """One frame, without a Modality LUT, functional groups or a palette."""
    pixel_bytes: int


def measure(image: Image) -> Iterator[Row]:
    """The rows of a file: one of each frame, or one that says why there is none.

    A row has `frame` (from 1), `problem` and `reason` (None where all is well) and, where it could
    be decoded, the columns of `of_values`.
    """
    try:
        stored = _native(image)
        if stored is not None:
            scale = (1.0 if image.slope is None else image.slope, image.intercept or 0.0)
            yield _row(image, 1, stored, linear(*scale))
            return
        yield from _decoded(image)
    except PixelsFailed as error:
        yield failure(error)
    except MemoryError:
        yield failure(PixelsFailed("more memory would be needed than a worker has."))
    except Exception as error:  # pydicom raises whatever odd elements lead to
        yield failure(PixelsFailed(f"the header cannot be understood: {type(error).__name__}."))


def failure(error: PixelsFailed, frame: int = 1) -> Row:
    """The row of a frame that could not be decoded."""
    problem = "shape_mismatch" if isinstance(error, OtherShape) else "undecodable"
    return {"frame": frame, "problem": problem, "reason": str(error)}


def _native(image: Image) -> Array | None:
    """The stored values as they end the file; None where they have to be looked for."""
    width = _WIDTHS.get(image.bits_allocated or 0)
    if not (image.is_simple and width and image.syntax in _NATIVE and image.samples in (None, 1)):
        return None
    n_pixels = (image.rows or 0) * (image.columns or 0)
    n_bytes = n_pixels * width.itemsize
    if not n_pixels or image.pixel_bytes != n_bytes + n_bytes % 2:
        return None
    with _open(image) as file:
        if image.size_bytes < image.pixel_bytes + 12:
            return None
        file.seek(image.size_bytes - image.pixel_bytes - 12)
        data = file.read(image.pixel_bytes + 12)
    length = image.pixel_bytes.to_bytes(4, "little")
    explicit = data[:4] == _PIXEL_DATA and data[4:6] in (b"OW", b"OB") and data[8:12] == length
    if not explicit and data[4:12] != _PIXEL_DATA + length:
        return None
    stored = np.frombuffer(data, width, n_pixels, 12).reshape(image.rows or 0, image.columns or 0)
    return stored.view(f"<i{width.itemsize}") if image.is_signed else stored


def _decoded(image: Image) -> Iterator[Row]:
    """Through pydicom and the decoders, one frame after the other."""
    _open(image).close()  # it is what its header was read of
    dataset = read_dataset(image.file)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > MOST_FRAMES:
        raise PixelsFailed(f"{frames:,} frames are more than {MOST_FRAMES:,}.")
    deadline = time.monotonic() + seconds_for(frames)
    decoder = decoder_name(UID(image.syntax or ""))
    for index, scale in zip(range(frames), _scales(dataset), strict=False):
        if time.monotonic() > deadline:
            yield {
                "frame": index + 1, "problem": "over_budget",
                "reason": f"not decoded within {seconds_for(frames):.0f} s",
            }  # fmt: skip
            return
        try:
            stored = decode_frame(dataset, index, all_bits=True)
        except PixelsFailed as error:
            yield failure(error, index + 1)
            continue
        yield _row(image, index + 1, stored, output_of(dataset, *scale), decoder)


def seconds_for(frames: int) -> float:
    """How long a file may take."""
    return MOST_SECONDS + SECONDS_OF_A_FRAME * frames


def _open(image: Image) -> Any:
    try:
        opened = open_place(image.file)
    except OSError as error:
        raise PixelsFailed(f"the file cannot be read: {error.strerror}.") from error
    if opened.facts.size_bytes != image.size_bytes:
        opened.raw.close()
        raise PixelsFailed("the file has changed since its header was read; build again.")
    return opened.raw


def _scales(dataset: Dataset) -> Iterator[tuple[float | None, float | None]]:
    """Slope and intercept of each frame: its own, those of all; None where groups have none.

    PS3.3 C.7.6.16.2.9.
    """
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    common = _scale(shared[0]) if shared else None
    for index in count():
        of_frame = _scale(groups[index]) if index < len(groups) else None
        yield of_frame or common or (None, None)


def _scale(group: Dataset) -> tuple[float, float] | None:
    transformation = group.get("PixelValueTransformationSequence")
    if not transformation:
        return None
    try:
        return float(transformation[0].RescaleSlope), float(transformation[0].RescaleIntercept)
    except (AttributeError, TypeError, ValueError):
        return None


def _row(
    image: Image, frame: int, stored: Array, to_output: ToOutput, decoder: str | None = None
) -> Row:
    padding = None
    if image.padding is not None:
        limit = image.padding if image.padding_limit is None else image.padding_limit
        ends = sorted(as_stored(value, stored.dtype) for value in (image.padding, limit))
        padding = (ends[0], ends[1])
    values = of_values(
        stored,
        bits_stored=image.bits_stored,
        to_output=to_output,
        padding=padding,
        is_ct=image.is_ct,
    )
    return {"frame": frame, "decoder": decoder, "problem": None, "reason": None, **values}


def of_values(
    stored: Array,
    *,
    bits_stored: int | None = None,
    to_output: ToOutput = _AS_STORED,
    padding: tuple[int, int] | None = None,
    is_ct: bool = False,
) -> Row:
    """Statistics of stored values in output units, exactly as NumPy's on the whole array.

    Args:
        stored: of any shape; integers or floats.
        bits_stored: how many bits hold a value; values that use others are counted as beyond, and
            are what the bits stored make of them.
        to_output: what gives output values of stored ones.
        padding: stored values, from and to, that count for nothing but `padding_share`.
        is_ct: whether values are HU, of which windows have a share.

    Returns:
        `minimum`, `maximum`, `mean`, `standard_deviation` (of the population) and the percentiles
        `p01` to `p99` (linear between values, as `numpy.percentile`); shares of padding and of
        windows; `stored_minimum` and `stored_maximum`, padding too, and without
        it `unpadded_minimum`, `unpadded_maximum`; `n_values`, `n_distinct` without padding;
        `n_saturated`, the greatest that the bits stored hold; `n_beyond` them; `digest`.
    """
    values, counts = _histogram(stored)
    n_beyond = _beyond(values, counts, stored.dtype, bits_stored)
    if n_beyond and bits_stored:
        stored = _within(stored, bits_stored)
        values, counts = _histogram(stored)
    row: Row = {
        "n_values": int(stored.size),
        "stored_minimum": float(values[0]),
        "stored_maximum": float(values[-1]),
        "n_saturated": _saturated(values, counts, stored.dtype, bits_stored),
        "n_beyond": n_beyond,
        "digest": digest(stored),
    }
    n = int(counts.sum())
    if padding is not None:
        inside = (values < padding[0]) | (values > padding[1])
        values, counts = values[inside], counts[inside]
    n_left = int(counts.sum())
    row |= {"padding_share": (n - n_left) / n if padding else None, "n_distinct": len(values)}
    if not n_left:
        return row
    row |= {"unpadded_minimum": float(values[0]), "unpadded_maximum": float(values[-1])}
    output = np.asarray(to_output(values.astype(stored.dtype)), np.float64)
    if (np.diff(output) < 0).any():
        order = np.argsort(output, kind="stable")
        output, counts = output[order], counts[order]
    mean = float(output @ counts / n_left)
    row |= {
        "minimum": float(output[0]),
        "maximum": float(output[-1]),
        "mean": mean,
        "standard_deviation": float(np.sqrt(np.square(output - mean) @ counts / n_left)),
        **_percentiles(output, counts, n_left),
    }
    if is_ct:
        row |= {
            name: float(counts[(output >= least) & (output <= most)].sum() / n_left)
            for name, (least, most) in (("brain_share", _BRAIN), ("lung_share", _LUNG))
        }
    return row


def _histogram(stored: Array) -> tuple[Array, Array]:
    """The distinct values in ascending order as doubles, and how many of each; no NaN."""
    flat = stored.reshape(-1)
    if flat.dtype.kind in "ui" and flat.dtype.itemsize <= 2:
        # From the least on, a few thousand bins are enough for most images and stay in the cache.
        least = int(flat.min())
        unsigned = flat.view(f"u{flat.dtype.itemsize}")
        counts = np.bincount(unsigned - unsigned.dtype.type(least % (1 << 8 * unsigned.itemsize)))
        values = np.flatnonzero(counts)
        return values + float(least), counts[values]
    values, counts = np.unique(flat[np.isfinite(flat)], return_counts=True)
    if not len(values):
        raise PixelsFailed("no pixel is a finite number.")
    return values.astype(np.float64), counts


def _percentiles(output: Array, counts: Array, n: int) -> Row:
    below = np.cumsum(counts)
    at = np.asarray(PERCENTILES) / 100 * (n - 1)
    lower = np.floor(at)
    first = output[np.searchsorted(below, lower, side="right")]
    second = output[np.searchsorted(below, np.minimum(lower + 1, n - 1), side="right")]
    found = first + (second - first) * (at - lower)
    return {
        f"p{percent:02}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)
    }


def _limits(dtype: np.dtype[Any], bits_stored: int | None) -> tuple[int, int] | None:
    """The least and the greatest integer of so many bits."""
    if dtype.kind not in "ui":
        return None
    most = 1 << (bits_stored or 8 * dtype.itemsize)
    return (-most // 2, most // 2 - 1) if dtype.kind == "i" else (0, most - 1)


def _saturated(values: Array, counts: Array, dtype: Any, bits_stored: int | None) -> int | None:
    """How many values are the greatest that the bits stored can hold."""
    limits = _limits(dtype, bits_stored)
    return None if limits is None else int(counts[values == limits[1]].sum())


def _beyond(values: Array, counts: Array, dtype: Any, bits_stored: int | None) -> int | None:
    """How many values the bits stored cannot hold."""
    limits = _limits(dtype, bits_stored)
    if limits is None:
        return None
    return int(counts[(values < limits[0]) | (values > limits[1])].sum())


def _within(stored: Array, bits: int) -> Array:
    """The values of the bits stored alone (PS3.5 8.1.1)."""
    unused = 8 * stored.dtype.itemsize - bits
    return np.asarray((stored << unused) >> unused)


def digest(stored: Array) -> str:
    """Of the samples, little endian, in the width they are stored in: XXH3 of 128 bits.

    It is the same whatever lossless transfer syntax they came in.
    """
    plain = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    return xxh3_128_hexdigest(plain.reshape(-1).view(np.uint8).data)


def measure_all(images: Sequence[Image]) -> list[tuple[int, Row]]:
    """In a worker: the rows of some files, each with the number of its file."""
    settle_worker()
    rows = []
    for number, image in enumerate(images):
        for ahead in images[number + _AHEAD : number + _AHEAD + 1] if number else images[:_AHEAD]:
            _read_ahead(ahead.file)
        rows += [(number, row) for row in measure(image)]
    return rows


def _read_ahead(file: str) -> None:
    """Let the system fetch a file while others are worked on."""
    with suppress(OSError):  # those of a file system alone
        opened, status = open_file(file)
        with opened:
            os.posix_fadvise(opened.fileno(), 0, status.st_size, os.POSIX_FADV_WILLNEED)


def image_of(facts: Mapping[str, Any], file: str) -> Image:
    """An image from a row of `sql/pixels/unmeasured.sql`."""
    named = {name: facts[name] for name in Image.__slots__ if name != "file"}
    return Image(file=file, **named)
