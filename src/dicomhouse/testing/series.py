"""What every made-up series has: UIDs from names, elements by keyword, a stack of axial slices."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from .template import Values, text

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "dicomhouse.testing")


def uid(*names: object) -> str:
    """A UID under the root 2.25 that follows from the names alone: a UUID of version 5."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, names))).int}"


def tag(keyword: str) -> int:
    """The tag of a DICOM keyword; an unknown keyword is a ValueError."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise ValueError(f"no DICOM keyword: {keyword}")
    return number


def element(keyword: str, value: Any) -> DataElement:
    """An element with the dictionary's VR. The value is taken as it is, valid or not."""
    number = tag(keyword)
    return DataElement(Tag(number), dictionary_VR(number), value, validation_mode=IGNORE)


def elements(values: Mapping[str, Any]) -> Dataset:
    """A data set of elements by keyword; a value of None leaves the element out."""
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            dataset.add(element(keyword, value))
    return dataset


def decimal(value: float) -> str:
    """A DS of at most six decimals."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


@dataclass
class Series:
    """A series before it is written: what its images share, and each image's own values."""

    folder: str
    """Below the cohort's folder, with slashes."""
    dataset: Dataset
    """The elements that the images share, and private ones that differ: those need their VR."""
    transfer_syntax: str
    images: list[Values]
    spacing_mm: float
    """Between the centres of neighbouring slices, along their normal."""


@dataclass(frozen=True)
class Shape:
    """How many images a series has, and the matrix of each. Without pixels: headers only."""

    slices: int
    rows: int
    columns: int
    pixels: bool
    is_chest: bool = False
    """Its slices show a chest, each its own plane, instead of a disc."""


def stack_values(
    shape: Shape, series_uid: str, pixel_spacing: float, spacing: float, first_z: float
) -> list[Values]:
    """Identity, place and pixels of each image of an axial stack, centred in x and y.

    Spacings and `first_z` are in mm; a negative `spacing` runs from head to feet. The stored
    values are unsigned 16-bit below 4096.
    """
    x = decimal(-pixel_spacing * (shape.columns - 1) / 2)
    y = decimal(-pixel_spacing * (shape.rows - 1) / 2)
    pixels = phantom(shape.rows, shape.columns) if shape.pixels else b""
    images: list[Values] = []
    for k in range(shape.slices):
        z = decimal(first_z + k * spacing)
        image: Values = {
            tag("SOPInstanceUID"): uid(series_uid, k + 1).encode(),
            tag("InstanceNumber"): b"%d" % (k + 1),
            tag("ImagePositionPatient"): text((x, y, z)),
            tag("SliceLocation"): z.encode(),
        }
        if shape.is_chest and pixels:
            share = (k + 0.5) / shape.slices
            height = share if spacing > 0 else 1 - share
            image[tag("PixelData")] = chest(shape.rows, shape.columns, height)
        elif pixels:
            turn = 2 * shape.columns * (k % shape.rows)
            image[tag("PixelData")] = pixels[turn:] + pixels[:turn]
        images.append(image)
    return images


def chest(rows: int, columns: int, height: float) -> bytes:
    """Unsigned 16-bit pixels, little endian: an axial plane of a chest, HU + 1024.

    Lungs with vessels and coarse bases, heart, windpipe, spine and ribs; 0 beyond the scanner's
    circle. It looks like one to a layman, and is no model of anybody.

    Args:
        rows: of the matrix.
        columns: likewise.
        height: of the plane, from 0 at the bases of the lungs to 1 above them.
    """
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    random = np.random.default_rng([rows, columns, round(height * 10_000)])
    grain = random.normal(0, 15, (rows, columns))

    def oval(centre_x: float, centre_y: float, width: float, depth: float) -> Any:
        """How far a pixel lies from the centre, 1 at the edge."""
        return np.hypot((x - centre_x) / width, (y - centre_y) / depth)

    body = oval(0, 0, 0.94, 0.68 - 0.08 * height)
    hu = np.where(body < 1, np.where(body < 0.93, 45.0, -100.0), -1000.0)
    turn = np.arctan2(y, x)
    hu[(np.abs(body - 0.86) < 0.035) & (np.sin(14 * turn + 30 * height) > 0.5)] = 550  # ribs
    size = math.sin(math.pi * (0.12 + 0.83 * height)) ** 0.5
    for side in (-1, 1):
        lung = oval(0.42 * side, -0.02, 0.34 * size, 0.5 * size)
        vessels = np.sin(37 * x + 9 * height) * np.sin(41 * y - 40 * height * side) > 0.93
        coarse = (lung > 0.75) & (height < 0.4) & (np.sin(60 * x) * np.sin(60 * y) > 0)
        inside = np.select([vessels, coarse], [-80.0, -480.0], -860.0)
        hu = np.where(lung < 1, inside, hu)
    hu[oval(0.12, -0.16, 0.3 * (1 - height), 0.27 * (1 - height)) < 1] = 40  # heart
    hu[oval(0, 0.42, 0.13, 0.12) < 1] = 350  # spine
    hu[oval(0, 0.42, 0.05, 0.05) < 1] = 30
    if height > 0.5:
        hu[oval(0, -0.02, 0.06, 0.06) < 1] = -990  # windpipe
    stored = np.clip(np.round(hu + grain) + 1024, 1, 4095)
    return np.where(np.hypot(x, y) < 1, stored, 0).astype("<u2").tobytes()


def phantom(rows: int, columns: int) -> bytes:
    """Unsigned 16-bit pixels, little endian: a disc of water with grain, in air."""
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    grain = np.random.default_rng(rows * columns).integers(0, 40, (rows, columns))
    return (np.where(x**2 + y**2 < 0.7, 1010, 10) + grain).astype("<u2").tobytes()


def tube_current(k: int, mean: int) -> int:
    """Modulated dose of slice k, in mA."""
    return mean + round(mean / 3 * math.sin(k * math.pi / 8))


def chance(*names: object) -> Random:
    """Random numbers that follow from the names alone."""
    return Random("/".join(map(str, names)))
