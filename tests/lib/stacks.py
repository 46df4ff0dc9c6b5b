"""Stacks of images for tests: by default a clean series, and what a test changes in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from dicomhouse.testing import write_image
from dicomhouse.testing.series import decimal, uid

Image = dict[str, Any]

AXIAL = [1, 0, 0, 0, 1, 0]
CORONAL = [1, 0, 0, 0, 0, -1]


def at(x: float, y: float, z: float) -> Image:
    return {"ImagePositionPatient": [decimal(x), decimal(y), decimal(z)]}


def axial(z: Sequence[float], **shared: Any) -> list[Image]:
    """A stack by its positions, numbered in their order."""
    return [shared | at(0, 0, p) | {"InstanceNumber": n} for n, p in enumerate(z, 1)]


def stepped(*steps: float, **shared: Any) -> list[Image]:
    return axial(list(accumulate(steps, initial=0.0)), **shared)


def coronal(n: int) -> list[Image]:
    return [
        at(0, y, 0) | {"ImageOrientationPatient": CORONAL, "InstanceNumber": 100 + y}
        for y in range(n)
    ]


def tilted(degrees: float, spacing: float = 10, n: int = 10, **shared: Any) -> list[Image]:
    """Axial slices whose positions run off sideways, as with a tilted gantry."""
    slope = math.tan(math.radians(degrees))
    return [
        shared | at(0, slope * spacing * k, spacing * k) | {"InstanceNumber": k + 1}
        for k in range(n)
    ]


def turned(degrees: float) -> list[Image]:
    """Three slices, then three of columns turned by so much."""
    angle = math.radians(degrees)
    columns = [1, 0, 0, 0, decimal(math.cos(angle)), decimal(math.sin(angle))]
    images = axial(range(6))
    for image in images[3:]:
        image["ImageOrientationPatient"] = columns
    return images


def changed(images: list[Image], place: int, **values: Any) -> list[Image]:
    """The images, one of them changed."""
    images[place] = images[place] | values
    return images


def without(images: list[Image], *places: int) -> list[Image]:
    return [image for place, image in enumerate(images) if place not in places]


def repeated(images: list[Image], **values: Sequence[Any]) -> list[Image]:
    """Each image as often as there are values, with one set of values each."""
    times = len(next(iter(values.values())))
    return [
        image | {keyword: some[time] for keyword, some in values.items()}
        for time in range(times)
        for image in images
    ]


def grouped(keyword: str, *groups: Sequence[float], values: Sequence[Any] = ()) -> list[Image]:
    """Stacks of one series, each with a value of its own, numbered on."""
    images = axial([z for group in groups for z in group])
    told = [value for value, group in zip(values or range(9), groups, strict=False) for _ in group]
    return [image | {keyword: value} for image, value in zip(images, told, strict=True)]


def write_series(folder: Path, images: Sequence[Image], names: Sequence[str] | None = None) -> None:
    for place, image in enumerate(images):
        name = names[place] if names else f"IM{place:04}"
        write_image(
            folder / name, PatientID=folder.name, SOPInstanceUID=uid(folder.name, place), **image
        )


def numbered(images: list[Image]) -> list[Image]:
    return [image | {"InstanceNumber": n} for n, image in enumerate(images, 1)]


def numbered_down(images: list[Image]) -> list[Image]:
    return [image | {"InstanceNumber": 1000 - n} for n, image in enumerate(images)]


def times(images: list[Image]) -> list[Image]:
    """Three acquisitions of the same slices."""
    return repeated(images, AcquisitionNumber=[1, 2, 3])
