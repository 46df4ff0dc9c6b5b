"""A stack of a series as one array, with where it lies in the patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomhouse.errors import PixelsFailed, UsageError
from dicomhouse.pixels.decode import Array
from dicomhouse.pixels.slices import Place, Slice, read_slices
from dicomhouse.resources import resource
from dicomhouse.sources.opening import place

if TYPE_CHECKING:
    import duckdb

REPEATED = "positions hold several images"
"""How `why_not` ends where a stack is one of several times or echoes."""


@dataclass(frozen=True, repr=False)
class Volume:
    """Slices in ascending order along their normal, in output units."""

    array: Array
    """Slices x rows x columns of float32; of colour, with 3 samples of uint8 behind."""
    spacing: tuple[float, float, float]
    """In mm along x, y, z of the array: between columns, rows, slices."""
    origin: tuple[float, float, float]
    """Centre of the first voxel in the patient, mm (LPS)."""
    direction: Array
    """3 x 3; its columns are the directions of x, y and z in the patient, as SimpleITK has them."""
    frames: tuple[Place, ...]
    """Which file and frame each slice is."""
    unit: str
    """HU, GY, BQML, ...; empty where the files name none."""
    is_inverted: bool
    """MONOCHROME1: pictures show the least value white."""
    window: tuple[float, float] | None
    """Centre and width that the first slice asks for."""

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.array.shape))
        spacing = " x ".join(f"{distance:g}" for distance in self.spacing)
        return f"<Volume, {shape} voxels, {spacing} mm{self.unit and f', in {self.unit}'}>"

    @property
    def affine(self) -> Array:
        """4 x 4, from voxel (x, y, z) to mm in the patient, LPS as in DICOM."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix


@dataclass(frozen=True)
class Stack:
    """What is known of a volume before a pixel is read."""

    places: tuple[Place, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: Array

    def read(
        self,
        mask_padding: bool = False,
        jobs: int = 2,
        progress: Callable[[int, int], None] = lambda done, among: None,
    ) -> Volume:
        """Decode all slices.

        Args:
            mask_padding: NaN where PixelPaddingValue stands.
            jobs: worker processes.
            progress: called after each slice with how many are done, of how many.

        Raises:
            PixelsFailed: naming the slice and what is wrong with it.
        """
        first: Slice | None = None
        array: Array | None = None
        for number, read in enumerate(read_slices(self.places, jobs)):
            if first is None or array is None:
                first = read
                array = np.empty((len(self.places), *read.values.shape), read.values.dtype)
            if read.values.shape != array.shape[1:] or read.values.dtype != array.dtype:
                raise PixelsFailed(f"slice {number + 1} is of another matrix than the first.")
            array[number] = read.values
            if mask_padding and read.padding is not None and array.dtype.kind == "f":
                array[number][read.padding] = np.nan
            progress(number + 1, len(self.places))
        assert first is not None and array is not None
        return Volume(
            array, self.spacing, self.origin, self.direction, self.places,
            first.unit, first.is_inverted, first.window,
        )  # fmt: skip


def find_stack(
    connection: duckdb.DuckDBPyConnection,
    series: str,
    *,
    stack: int | None = None,
    time: int | None = None,
    echo: int | None = None,
    force: bool = False,
) -> Stack:
    """The slices of a series, by position along their normal.

    Args:
        connection: to a warehouse whose sources are where they were.
        series: a SeriesInstanceUID, or a series_key.
        stack: the number of a stack in `series_geometry`; needed where there are several.
        time: of several images at each position, which one, from 1.
        echo: of several echoes, which one, from 1, the shortest first.
        force: put together what is not a volume, too: the first image of each position.

    Raises:
        UsageError: no such series or stack.
        PixelsFailed: it is not a volume; the message says why not.
    """
    found = _ask(connection, "volume_stacks", series=series)
    if not found:
        from dicomhouse.pixels.packed import packed_stack

        packed = _ask(connection, "volume_packed", series=series)
        if packed:
            objects = [{"file": _file(row), "is_mosaic": row["is_mosaic"]} for row in packed]
            return packed_stack(objects, time, force)
        raise UsageError(
            "no series of this UID or key has frames with position and orientation here; "
            "`dicomhouse sql --report volumes` lists them."
        )
    if len({row["source"] for row in found}) > 1:
        raise UsageError("several sources hold this series; name its folder instead.")
    if stack is None and len(found) > 1 and not force:
        sizes = ", ".join(f"{row['stack']} ({row['positions']} positions)" for row in found[:20])
        raise PixelsFailed(f"the series has several stacks: choose with --stack N: {sizes}.")
    chosen = next((row for row in found if row["stack"] == (stack or 1)), None)
    if chosen is None:
        raise UsageError(f"the series has no stack {stack}; it has {len(found)}.")
    reasons = [reason for reason in (chosen["why_not"] or "").split("; ") if reason]
    if time is not None or echo is not None:
        reasons = [reason for reason in reasons if not reason.endswith(REPEATED)]
    if reasons and not force:
        choose = " (--time N or --echo N chooses)" if reasons[-1].endswith(REPEATED) else ""
        raise PixelsFailed(
            f"not a volume: {'; '.join(reasons)}{choose}. --force stacks it all the same."
        )
    rows = _ask(
        connection, "volume_slices",
        source=chosen["source"], series_key=chosen["series_key"], stack=chosen["stack"],
    )  # fmt: skip
    return _stack(_of_each_position(rows, time, echo, force))


def _of_each_position(
    rows: Sequence[dict[str, Any]], time: int | None, echo: int | None, force: bool
) -> list[dict[str, Any]]:
    """One row a position."""
    if echo is not None:
        echoes = sorted({row["EchoTime"] for row in rows if row["EchoTime"] is not None})
        if not 1 <= echo <= len(echoes):
            raise UsageError(f"no echo {echo}; there are {len(echoes)}.")
        rows = [row for row in rows if row["EchoTime"] == echoes[echo - 1]]
    chosen = []
    for slot, images in groupby(rows, itemgetter("slot")):
        held = list(images)
        number = (time or 1) - 1
        if not 0 <= number < len(held):
            if force:
                continue
            raise PixelsFailed(f"position {slot} has no time {time}; it has {len(held)}.")
        if len(held) > 1 and time is None and not force:
            raise PixelsFailed(f"position {slot} holds {len(held)} images: --time N chooses.")
        chosen.append(held[number])
    if not chosen:
        raise UsageError(f"no position has a time {time}.")
    return chosen


def _stack(rows: Sequence[dict[str, Any]]) -> Stack:
    first, last = rows[0], rows[-1]
    if any((row["Rows"], row["Columns"]) != (first["Rows"], first["Columns"]) for row in rows):
        raise PixelsFailed("the slices are of several matrices.")
    along_row, along_column = np.asarray(first["ImageOrientationPatient"], float).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    between_rows, between_columns = first["PixelSpacing"] or (1.0, 1.0)
    if len(rows) > 1:
        between_slices = (last["position"] - first["position"]) / (len(rows) - 1)
    else:
        between_slices = first["SliceThickness"] or 1.0
    return Stack(
        places=tuple(
            Place(_file(row), row["frame"], row["RescaleSlope"], row["RescaleIntercept"])
            for row in rows
        ),
        shape=(len(rows), first["Rows"], first["Columns"]),
        spacing=(float(between_columns), float(between_rows), float(between_slices)),
        origin=tuple(map(float, first["ImagePositionPatient"])),  # type: ignore[arg-type]
        direction=np.column_stack([along_row, along_column, normal / np.linalg.norm(normal)]),
    )


def _file(row: dict[str, Any]) -> str:
    return place(row["address"], row["path"])


def _ask(
    connection: duckdb.DuckDBPyConnection, name: str, **variables: Any
) -> list[dict[str, Any]]:
    from dicomhouse.warehouse.database import query

    statement = resource("sql", "commands", f"{name}.sql").read_text()
    rows: list[dict[str, Any]] = query(connection, statement, variables).to_pylist()
    return rows
