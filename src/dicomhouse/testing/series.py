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
        if pixels:
            turn = 2 * shape.columns * (k % shape.rows)
            image[tag("PixelData")] = pixels[turn:] + pixels[:turn]
        images.append(image)
    return images


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
