"""Frames in output units, read in worker processes with bounds of memory and time."""

from __future__ import annotations

import logging
import resource
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from itertools import islice
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
)

from dicomhouse.errors import PixelsFailed
from dicomhouse.pixels.decode import Array, decode_frame
from dicomhouse.pools import light_pool
from dicomhouse.sources.opening import open_place

MOST_BYTES = 6 << 30
"""Address space of a worker: a decoder that wants more fails."""
MOST_SECONDS = 60
"""For one frame."""
_UNITS = {"CT": "HU", "RTDOSE": "GY"}


@dataclass(frozen=True)
class Place:
    """Where a frame's pixels are."""

    file: str
    """Where the file lies (`sources.opening`)."""
    frame: int
    """From 0."""
    slope: float | None = None
    intercept: float | None = None
    """As the frame has them, of functional groups too; None: as the data set has them."""
    tile: tuple[int, int, int, int] | None = None
    """Of a mosaic's frame: first row, first column, rows, columns."""


@dataclass(frozen=True)
class Slice:
    """One frame, decoded."""

    values: Array
    """Rows x columns of float32 in output units; of colour, rows x columns x 3 of uint8."""
    padding: Array | None
    """Where PixelPaddingValue stands; None where nothing is padded."""
    unit: str
    is_inverted: bool
    """MONOCHROME1: the least value is shown white."""
    window: tuple[float, float] | None
    """Centre and width, as the first of the file's windows has them."""


def read_slices(places: Sequence[Place], jobs: int = 2) -> Iterator[Slice]:
    """The frames in the order asked for, as they are decoded; a few are held at a time.

    Raises:
        PixelsFailed: a frame cannot be decoded, or its worker died or took too long; the message
            has the number of the frame among those asked for.
    """
    with light_pool(jobs) as pool:
        waiting = iter(places)
        running = [_submit(pool, place) for place in islice(waiting, 2 * jobs)]
        number = 0
        while running:
            number += 1
            yield _result(running.pop(0), number, len(places))
            running += [_submit(pool, place) for place in islice(waiting, 1)]


def _submit(pool: ProcessPoolExecutor, place: Place) -> Future[Slice | str]:
    return pool.submit(_read, place)


def _result(future: Future[Slice | str], number: int, among: int) -> Slice:
    try:
        result = future.result(timeout=MOST_SECONDS)
    except TimeoutError:
        result = f"not decoded within {MOST_SECONDS} s."
    except BrokenProcessPool:
        result = "the decoder ended its process."
    if isinstance(result, str):
        raise PixelsFailed(f"slice {number} of {among}: {result}")
    return result


def _read(place: Place) -> Slice | str:
    """In a worker: a slice, or why there is none."""
    settle_worker()
    try:
        return read_slice(place)
    except PixelsFailed as error:
        return str(error)
    except MemoryError:
        return f"more than {MOST_BYTES >> 30} GiB of memory would be needed."


def read_slice(place: Place) -> Slice:
    """Read and decode one frame, here and now.

    Raises:
        PixelsFailed: saying why not.
    """
    dataset = _dataset_at_hand(place.file)
    stored = decode_frame(dataset, place.frame)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    values = _in_colour(dataset, stored, photometric)
    padding = None
    if values is None:
        padding = _padding(dataset, stored)
        to_output = output_of(dataset, place.slope, place.intercept)
        values = np.asarray(to_output(stored), np.float32)
    if place.tile is not None:
        row, column, rows, columns = place.tile
        window = np.s_[row : row + rows, column : column + columns]
        values = values[window]
        padding = None if padding is None else padding[window]
    return Slice(values, padding, _unit(dataset), photometric == "MONOCHROME1", _window(dataset))


def read_dataset(file: str, header_alone: bool = False) -> Dataset:
    """What pydicom makes of a file, without its pixels where the header alone is asked for.

    Raises:
        PixelsFailed: the file, or its header, cannot be read.
    """
    try:
        with BufferedReader(open_place(file).raw) as opened:
            return pydicom.dcmread(opened, stop_before_pixels=header_alone, force=True)
    except MemoryError:
        raise
    except OSError as error:
        raise PixelsFailed(f"the file cannot be read: {error.strerror}.") from error
    except Exception as error:
        raise PixelsFailed(f"pydicom cannot read the file: {type(error).__name__}.") from error


@lru_cache(maxsize=1)
def _dataset_at_hand(file: str) -> Dataset:
    """The frames of one file come one after the other."""
    return read_dataset(file)


def _in_colour(dataset: Dataset, stored: Array, photometric: str) -> Array | None:
    """RGB of 8 bits; None of an image in grey."""
    if stored.ndim < 3 and photometric != "PALETTE COLOR":
        return None
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.dtype.itemsize > 1:
        stored = stored >> 8 * (stored.dtype.itemsize - 1)
    return np.asarray(stored[..., :3], np.uint8)


def output_of(
    dataset: Dataset, slope: float | None = None, intercept: float | None = None
) -> Callable[[Array], Array]:
    """What gives output values of stored ones.

    PS3.3 C.11.1: the Modality LUT, or slope and intercept; of dose grids, DoseGridScaling.

    Args:
        dataset: the image.
        slope: a frame's own.
        intercept: likewise.
    """
    if dataset.get("ModalityLUTSequence"):
        return lambda stored: np.asarray(apply_modality_lut(stored, dataset))
    slope = _first(slope, dataset.get("DoseGridScaling"), dataset.get("RescaleSlope"), 1)
    intercept = _first(intercept, dataset.get("RescaleIntercept"), 0)
    return linear(slope, intercept)


def linear(slope: float, intercept: float) -> Callable[[Array], Array]:
    """Output values by slope and intercept, as doubles where they change anything."""
    if slope == 1 and intercept == 0:
        return lambda stored: stored
    return lambda stored: stored * np.float64(slope) + np.float64(intercept)


def _first(*values: Any) -> float:
    return next(float(value) for value in values if value is not None)


def as_stored(value: int, dtype: np.dtype[Any]) -> int:
    """A value of the pixels' width with their sign, whatever sign its own element has.

    PixelPaddingValue is US or SS by PixelRepresentation (PS3.3 C.7.5.1.1.2), and often is not.
    """
    if dtype.kind not in "ui":
        return value
    wrap = 1 << 8 * dtype.itemsize
    value %= wrap
    return value - wrap if dtype.kind == "i" and value >= wrap // 2 else value


def _padding(dataset: Dataset, stored: Array) -> Array | None:
    """PS3.3 C.7.5.1.1.2: a value, or a range up to PixelPaddingRangeLimit."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = _first(dataset.get("PixelPaddingRangeLimit"), value)
    least, most = sorted(as_stored(int(number), stored.dtype) for number in (value, limit))
    found = (stored >= least) & (stored <= most)
    return found if found.any() else None


def _unit(dataset: Dataset) -> str:
    """RescaleType, Units or DoseUnits; without them HU of CT (PS3.3 C.8.2.1.1.2)."""
    for keyword in ("RescaleType", "Units", "DoseUnits"):
        if value := str(dataset.get(keyword) or ""):
            return "HU" if value == "US" and dataset.get("Modality") == "CT" else value
    return _UNITS.get(str(dataset.get("Modality")), "")


def _window(dataset: Dataset) -> tuple[float, float] | None:
    numbers = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = dataset.get(keyword)
        first = value[0] if isinstance(value, pydicom.multival.MultiValue) and value else value
        try:
            numbers.append(float(first))
        except (TypeError, ValueError):
            return None
    return (numbers[0], numbers[1]) if numbers[1] >= 1 else None


def settle_worker() -> None:
    """Let this process have no more address space than a worker may, and quote no value."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MOST_BYTES if hard == resource.RLIM_INFINITY else min(MOST_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
