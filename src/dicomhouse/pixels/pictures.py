"""Pictures of a volume: a montage, the three mid planes, and animations through it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dicomhouse.errors import UsageError
from dicomhouse.pixels.decode import Array
from dicomhouse.pixels.volume import Volume

PRESETS = {
    "abdomen": (40, 400),
    "bone": (500, 2000),
    "brain": (40, 80),
    "lung": (-600, 1500),
    "mediastinum": (40, 400),
    "soft-tissue": (50, 350),
}
"""Centre and width in HU, as radiologists set them for CT."""
_PERCENTILES = (1, 99)
_GAP = 2
VIEWS = ("top-bottom", "left-right", "front-back")
"""Through axial, sagittal and coronal planes."""


def window_of(volume: Volume, chosen: str | None) -> tuple[float, float]:
    """Centre and width: of a preset, of `CENTRE,WIDTH`, or of the file, or by percentiles.

    Raises:
        UsageError: it is neither a preset, nor two numbers, nor `tag` or `percentiles`.
    """
    if chosen is not None and chosen in PRESETS:
        return PRESETS[chosen]
    if chosen is not None and chosen not in ("tag", "percentiles"):
        try:
            centre, width = map(float, chosen.split(","))
        except ValueError:
            raise UsageError(
                f"no window: choose tag, percentiles, {', '.join(PRESETS)}, or CENTRE,WIDTH."
            ) from None
        return centre, width
    if chosen != "percentiles" and volume.window is not None:
        return volume.window
    sample = volume.array[:: math.ceil(len(volume.array) / 64)]
    least, most = np.nanpercentile(sample, _PERCENTILES)
    return float(least + most) / 2, max(float(most - least), 1e-6)


def shown(volume: Volume, plane: Array, window: tuple[float, float]) -> Array:
    """A plane as it is shown: uint8 grey, or RGB as it is."""
    if plane.dtype == np.uint8:
        return plane
    centre, width = window
    grey = np.clip((np.nan_to_num(plane, nan=-np.inf) - centre) / width + 0.5, 0, 1)
    return np.asarray(np.round(255 * (1 - grey if volume.is_inverted else grey)), np.uint8)


def own_view(volume: Volume) -> str:
    """The view whose planes are the slices as they were taken."""
    axis = int(np.argmax(np.abs(volume.direction[:, 2])))
    return {2: "top-bottom", 0: "left-right"}.get(axis, "front-back")


def planes(volume: Volume, view: str) -> Iterator[tuple[Array, tuple[float, float]]]:
    """The planes of a view in its order, each with the mm between its rows and columns.

    Patients are shown as usual: head up, their right side at the left, front up in axial planes. A
    volume that lies otherwise is turned in steps of right angles.
    """
    array, (x_mm, y_mm, z_mm) = _upright(volume)
    match view:
        case "top-bottom":
            for k in reversed(range(array.shape[0])):
                yield array[k], (y_mm, x_mm)
        case "left-right":
            for i in range(array.shape[2]):
                yield array[::-1, :, i], (z_mm, y_mm)
        case _:
            for j in range(array.shape[1]):
                yield array[::-1, j], (z_mm, x_mm)


def _upright(volume: Volume) -> tuple[Array, tuple[float, float, float]]:
    """The array turned so that z rises to the head, y to the back, x to the left; its spacing."""
    nearest = np.argmax(np.abs(volume.direction), axis=0)  # patient's axis of each of x, y, z
    if len(set(nearest.tolist())) < 3:
        return volume.array, volume.spacing
    array = volume.array
    for axis in range(3):
        if volume.direction[nearest[axis], axis] < 0:
            array = np.flip(array, 2 - axis)
    order = [int(np.flatnonzero(nearest == axis)[0]) for axis in range(3)]
    axes = [2 - order[2], 2 - order[1], 2 - order[0]]
    x_mm, y_mm, z_mm = (volume.spacing[one] for one in order)
    return np.transpose(array, [*axes, *range(3, array.ndim)]), (x_mm, y_mm, z_mm)


def write_montage(volume: Volume, path: Path, window: str | None = None, size: int = 160) -> None:
    """Up to 30 slices in one picture, each of `size` pixels."""
    chosen = window_of(volume, window)
    every = list(planes(volume, own_view(volume)))
    picked = [every[i] for i in np.linspace(0, len(every) - 1, min(30, len(every))).astype(int)]
    tiles = [_picture(volume, plane, mm, chosen, size) for plane, mm in picked]
    columns = min(6, len(tiles))
    _beside(tiles, columns).save(path)


def write_planes(volume: Volume, path: Path, window: str | None = None, size: int = 400) -> None:
    """The three mid planes side by side: axial, sagittal, coronal."""
    chosen = window_of(volume, window)
    tiles = []
    for view in VIEWS:
        every = list(planes(volume, view))
        plane, mm = every[len(every) // 2]
        tiles.append(_picture(volume, plane, mm, chosen, size))
    _beside(tiles, 3).save(path)


def write_animation(
    volume: Volume,
    path: Path,
    view: str,
    window: str | None = None,
    size: int = 256,
    frames: int = 100,
    milliseconds: int = 60,
) -> None:
    """A GIF of 32 greys, or a WebP, by the ending of `path`, through the planes of a view.

    Args:
        size: pixels of the longer side.
        frames: at most so many planes, evenly picked.
        milliseconds: for each.
    """
    chosen = window_of(volume, window)
    every = list(planes(volume, view))
    picked = [every[i] for i in np.linspace(0, len(every) - 1, min(frames, len(every))).astype(int)]
    pictures = [_picture(volume, plane, mm, chosen, size) for plane, mm in picked]
    if path.suffix.lower() == ".gif":
        pictures = [
            picture.quantize(64)
            if picture.mode == "RGB"
            else picture.point(lambda grey: grey // 8 * 8 + 4)
            for picture in pictures
        ]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)


def _picture(
    volume: Volume, plane: Array, mm: tuple[float, float], window: tuple[float, float], size: int
) -> Image.Image:
    """A plane of which the longer side has `size` pixels, in true proportions."""
    rows_mm, columns_mm = plane.shape[0] * mm[0], plane.shape[1] * mm[1]
    scale = size / max(rows_mm, columns_mm)
    picture = Image.fromarray(np.ascontiguousarray(shown(volume, plane, window)))
    width, height = max(1, round(columns_mm * scale)), max(1, round(rows_mm * scale))
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _beside(tiles: list[Image.Image], columns: int) -> Image.Image:
    width = max(tile.width for tile in tiles) + _GAP
    height = max(tile.height for tile in tiles) + _GAP
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new(tiles[0].mode, (columns * width - _GAP, rows * height - _GAP))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(
            tile,
            (
                column * width + (width - _GAP - tile.width) // 2,
                row * height + (height - _GAP - tile.height) // 2,
            ),
        )
    return sheet
