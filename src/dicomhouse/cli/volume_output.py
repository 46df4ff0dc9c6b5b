"""`dicomhouse volume`: from a series, or a folder of files, to arrays and pictures."""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import dicomhouse
from dicomhouse.errors import PixelsFailed, StorageError, UsageError
from dicomhouse.output import printable
from dicomhouse.pixels.nifti import write_nifti
from dicomhouse.pixels.pictures import VIEWS, write_animation, write_montage, write_planes
from dicomhouse.pixels.volume import Stack, Volume, find_stack
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource

_PROGRESS_SECONDS = 2


def run(chosen: Namespace, say: Callable[[str], None]) -> None:
    """Read the volume that was chosen, tell what it is, and write what was asked for.

    Args:
        chosen: the command's options.
        say: tells of progress.

    Raises:
        PixelsFailed, UsageError, StorageError: saying what to do.
    """
    volume = _stack(chosen).read(chosen.mask_padding, chosen.jobs, _progress(say))
    least, most = float(np.nanmin(volume.array)), float(np.nanmax(volume.array))
    print(f"shape      {' x '.join(map(str, volume.array.shape))} (slices x rows x columns)")
    print(f"spacing    {_numbers(volume.spacing)} mm (x, y, z)")
    print(f"origin     {_numbers(volume.origin)} mm")
    print(f"direction  {_numbers(volume.direction.T.ravel())}")
    print(f"values     {least:g} to {most:g} {volume.unit}".rstrip())
    for path in _written(chosen, volume):
        print(f"written    {printable(str(path))}")


def _stack(chosen: Namespace) -> Stack:
    options = {name: getattr(chosen, name) for name in ("stack", "time", "echo", "force")}
    folder = Path(chosen.series)
    if folder.is_dir():
        with _warehouse_of(folder) as warehouse:
            return find_stack(warehouse.connection, _only_series(warehouse), **options)
    with dicomhouse.open(chosen.warehouse, chosen.generation) as warehouse:
        return find_stack(warehouse.connection, chosen.series, **options)


@contextmanager
def _warehouse_of(folder: Path) -> Iterator[Warehouse]:
    """A warehouse of one folder, which is gone afterwards: its rules are those of any other."""
    from dicomhouse.run.build import build_direct
    from dicomhouse.settings import Settings

    with tempfile.TemporaryDirectory() as private:
        build_direct(Settings((f"folder={folder.absolute()}",), Path(private, "w")), lambda _: None)
        with dicomhouse.open(Path(private, "w")) as warehouse:
            yield warehouse


def _only_series(warehouse: Warehouse) -> str:
    statement = resource("sql", "commands", "stacked_series.sql").read_text()
    found = warehouse.connection.execute(statement).fetchall()
    if not found:
        raise PixelsFailed("no image in the folder has position and orientation.")
    if len(found) > 1:
        raise UsageError(
            f"the folder holds {len(found)} series. Build a warehouse of it, look at "
            "`dicomhouse sql --report volumes`, and name one."
        )
    return str(found[0][0])


def _written(chosen: Namespace, volume: Volume) -> Iterator[Path]:
    """Write each file that was asked for, and tell which."""
    window, size = chosen.window, {"size": chosen.size} if chosen.size else {}
    try:
        if chosen.npy:
            with chosen.npy.open("wb") as file:
                np.save(file, volume.array)
            yield chosen.npy
        if chosen.nifti:
            write_nifti(volume, chosen.nifti)
            yield chosen.nifti
        if chosen.png:
            write_montage(volume, chosen.png, window, **size)
            yield chosen.png
        if chosen.planes:
            write_planes(volume, chosen.planes, window, **size)
            yield chosen.planes
        for folder, ending in ((chosen.gif, "gif"), (chosen.webp, "webp")):
            if folder is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for view in VIEWS:
                path = folder / f"{view}.{ending}"
                write_animation(
                    volume, path, view, window, frames=chosen.frames, milliseconds=chosen.speed,
                    **size,
                )  # fmt: skip
                yield path
    except OSError as error:
        what = error.filename or "what was asked for"
        raise StorageError(f"cannot write {what}: {error.strerror}.") from error


def _progress(say: Callable[[str], None]) -> Callable[[int, int], None]:
    begun = last_line = 0.0

    def tell(done: int, among: int) -> None:
        nonlocal begun, last_line
        now = time.monotonic()
        begun, last_line = begun or now, last_line or now
        if now - last_line >= _PROGRESS_SECONDS and done < among:
            last_line = now
            left = (now - begun) / done * (among - done)
            say(f"{done:,} of {among:,} slices, about {left:.0f} s left")

    return tell


def _numbers(values: object) -> str:
    return " ".join(f"{value:.6g}" for value in values)  # type: ignore[attr-defined]
