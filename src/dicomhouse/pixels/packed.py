"""Stacks that a single object holds: Siemens mosaics, whose frame is a sheet of slices, and NM
tomography, whose position is the detector's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from pydicom import Dataset

from dicomhouse.errors import PixelsFailed, UsageError
from dicomhouse.pixels.decode import Array
from dicomhouse.pixels.slices import Place, read_dataset
from dicomhouse.pixels.volume import Stack


def packed_stack(objects: Sequence[dict[str, Any]], time: int | None, force: bool) -> Stack:
    """The slices of one of the objects.

    Args:
        objects: `file` and `is_mosaic` of each, the earlier ones first.
        time: which of several, from 1.
        force: the first of several.

    Raises:
        UsageError: there are not so many.
        PixelsFailed: which one is not said, or it has no geometry.
    """
    if time is None and len(objects) > 1 and not force:
        raise PixelsFailed(
            f"not a volume: {len(objects)} objects each hold a stack (--time N chooses)."
        )
    number = (time or 1) - 1
    if not 0 <= number < len(objects):
        raise UsageError(f"no time {time}; there are {len(objects)}.")
    chosen = objects[number]
    dataset = read_dataset(chosen["file"], header_alone=True)
    try:
        if chosen["is_mosaic"]:
            return _mosaic(chosen["file"], dataset)
        return _tomography(chosen["file"], dataset)
    except PixelsFailed:
        raise
    except Exception as error:  # odd elements, of whichever kind
        raise PixelsFailed(
            f"not a volume: its geometry cannot be understood ({type(error).__name__})."
        ) from error


def _mosaic(file: str, dataset: Dataset) -> Stack:
    """Tiles row by row; where they lie, nibabel finds in Siemens' private header.

    ImagePositionPatient is the corner that a slice as large as the sheet would have, and the slices
    may run against the normal: nibabel's documentation, "Siemens mosaic format".
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls itself young; a test holds it against dcm2niix
        from nibabel.nicom.dicomwrappers import MosaicWrapper, wrapper_from_data

    wrapper = wrapper_from_data(dataset)
    if not isinstance(wrapper, MosaicWrapper):
        raise PixelsFailed(
            "not a volume: the private header of the mosaic does not describe its slices."
        )
    slices = int(wrapper.n_mosaic)
    across = ceil(sqrt(slices))
    rows, columns = int(dataset.Rows) // across, int(dataset.Columns) // across
    places = [
        Place(file, 0, tile=(number // across * rows, number % across * columns, rows, columns))
        for number in range(slices)
    ]
    between_rows, between_columns, between_slices = map(float, wrapper.voxel_sizes)
    return _along(
        places, (slices, rows, columns), (between_columns, between_rows, between_slices),
        np.asarray(wrapper.image_position, float),
        np.asarray(dataset.ImageOrientationPatient, float).reshape(2, 3),
        np.asarray(wrapper.slice_normal, float),
    )  # fmt: skip


def _tomography(file: str, dataset: Dataset) -> Stack:
    """Frames along the detector's normal (PS3.3 C.8.4.15): SpacingBetweenSlices may be negative."""
    if "TOMO" not in " ".join(dataset.get("ImageType") or ()):
        raise PixelsFailed("not a volume: its frames are not slices of a reconstruction.")
    detectors = dataset.get("DetectorInformationSequence")
    if not detectors or "ImagePositionPatient" not in detectors[0]:
        raise PixelsFailed("not a volume: the detector has no position.")
    spacing = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")
    if not spacing:
        raise PixelsFailed("not a volume: how far its slices are apart stands nowhere.")
    frames = int(dataset.NumberOfFrames)
    between_rows, between_columns = map(float, dataset.PixelSpacing)
    directions = np.asarray(detectors[0].ImageOrientationPatient, float).reshape(2, 3)
    return _along(
        [Place(file, frame) for frame in range(frames)],
        (frames, int(dataset.Rows), int(dataset.Columns)),
        (between_columns, between_rows, abs(float(spacing))),
        np.asarray(detectors[0].ImagePositionPatient, float),
        directions,
        np.cross(*directions) * np.sign(float(spacing)),
    )  # fmt: skip


def _along(
    places: Sequence[Place],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: Array,
    directions: Array,
    towards: Array,
) -> Stack:
    """A stack in ascending order along its normal, wherever the places run `towards`."""
    normal = np.cross(*directions)
    normal = normal / np.linalg.norm(normal)
    if float(normal @ towards) < 0:
        places = places[::-1]
        origin = origin - (len(places) - 1) * spacing[2] * normal
    return Stack(
        places=tuple(places),
        shape=shape,
        spacing=spacing,
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=np.column_stack([*directions, normal]),
    )
