"""How fast pixels are measured: beside a bare read, the bare decoders, and SimpleITK.

Images of 512 x 512, 16 bits, of one core; the processor's time counts, the best of several, but for
the cold disk, where it is the clock's. Real slices (`--folder`) compress as such do; without them
noise on a disc stands in.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pydicom.uid as uids
import SimpleITK
from pydicom.encaps import encapsulate

from dicomhouse.pixels.decode import decode_frame
from dicomhouse.pixels.statistics import Image, measure, measure_all
from dicomhouse.testing import dataset_bytes

SIDE = 512
COMPRESSED = 60
"""Files of a compressed syntax; of the others ten times as many."""


def slices(folder: Path | None, n: int) -> list[np.ndarray]:
    """So many slices, none like another."""
    random = np.random.default_rng(1)
    found = []
    if folder is not None:
        for path in sorted(folder.rglob("*.dcm")):
            dataset = pydicom.dcmread(path)
            if (dataset.get("Rows"), dataset.get("Columns")) == (SIDE, SIDE):
                found.append((dataset.pixel_array.astype(np.int32) + 2048).clip(0, 4095))
    if not found:
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
        found = [np.where(x * x + y * y < 200**2, 1100, 30) + random.normal(0, 20, (SIDE, SIDE))]
    return [
        (found[k % len(found)] + random.integers(0, 2, (SIDE, SIDE))).clip(0, 4095).astype("<u2")
        for k in range(n)
    ]


ENCODERS: dict[str, tuple[str, Callable[[np.ndarray], bytes]]] = {
    "uncompressed": (uids.ExplicitVRLittleEndian, lambda a: a.tobytes()),
    "JPEG-LS lossless": (uids.JPEGLSLossless, lambda a: _wrapped(imagecodecs.jpegls_encode(a))),
    "JPEG lossless": (uids.JPEGLosslessSV1, lambda a: _wrapped(imagecodecs.ljpeg_encode(a))),
    "JPEG 2000 lossless": (
        uids.JPEG2000Lossless,
        lambda a: _wrapped(
            imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True, level=0)
        ),
    ),
    "RLE": (uids.RLELossless, lambda a: b""),
}


def _wrapped(stream: bytes) -> bytes:
    return encapsulate([stream])


def write(folder: Path, syntax: str, encode: Callable, arrays: Sequence[np.ndarray]) -> list[Path]:
    paths = []
    for number, array in enumerate(arrays):
        path = folder / f"{number:05}.dcm"
        plain = syntax == uids.RLELossless
        path.write_bytes(
            dataset_bytes(
                Rows=SIDE, Columns=SIDE, InstanceNumber=number + 1,
                TransferSyntaxUID=uids.ExplicitVRLittleEndian if plain else syntax,
                PixelData=array.tobytes() if plain else encode(array),
            )
        )  # fmt: skip
        if plain:
            dataset = pydicom.dcmread(path)
            dataset.compress(uids.RLELossless, generate_instance_uid=False)
            dataset.save_as(path)
        paths.append(path)
    return paths


def image(path: Path, syntax: str) -> Image:
    return Image(
        file=str(path), size_bytes=path.stat().st_size, syntax=syntax, rows=SIDE, columns=SIDE,
        samples=1, frames=None, bits_allocated=16, bits_stored=12, is_signed=False, slope=1.0,
        intercept=-1024.0, padding=None, padding_limit=None, is_ct=True, is_simple=True,
        pixel_bytes=2 * SIDE * SIDE,
    )  # fmt: skip


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the processor."""
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def read_all(paths: Sequence[Path]) -> None:
    for path in paths:
        path.read_bytes()


def decode_all(paths: Sequence[Path]) -> None:
    for path in paths:
        decode_frame(pydicom.dcmread(path))


def by_simpleitk(paths: Sequence[Path]) -> None:
    """Minimum, maximum, mean and deviation, which is less than what is measured here."""
    for path in paths:
        statistics = SimpleITK.StatisticsImageFilter()
        statistics.Execute(SimpleITK.ReadImage(str(path)))


def forget(paths: Sequence[Path]) -> None:
    """Drop files from the page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def by_clock(work: Callable[[], object], paths: Sequence[Path], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        forget(paths)
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="real slices of 512 x 512")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=COMPRESSED)
    chosen = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    arrays = slices(chosen.folder, 10 * chosen.images)
    print(
        "| images of 512 x 512 | measured a second | bare decoder | x of it | SimpleITK | x of it |"
    )
    print("|---|---|---|---|---|---|")
    for name, (syntax, encode) in ENCODERS.items():
        with tempfile.TemporaryDirectory() as folder:
            n = len(arrays) if name == "uncompressed" else chosen.images
            paths = write(Path(folder), syntax, encode, arrays[:n])
            images = [image(path, syntax) for path in paths]
            rows = [row for one in images for row in measure(one)]
            assert len(rows) == n and not any(row["problem"] for row in rows)

            def measured(images: list[Image] = images) -> None:
                measure_all(images)

            ours = best(measured, chosen.repeats)
            bare = best(lambda paths=paths: decode_all(paths), chosen.repeats)
            itk = best(lambda paths=paths: by_simpleitk(paths), chosen.repeats)
            print(
                f"| {name} | {n / ours:,.0f} | {n / bare:,.0f} | {ours / bare:.2f} "
                f"| {n / itk:,.0f} | {ours / itk:.2f} |"
            )
            if name == "uncompressed":
                cold = by_clock(lambda paths=paths: read_all(paths), paths, chosen.repeats)
                from_disk = by_clock(measured, paths, chosen.repeats)
                told = (
                    f"uncompressed, from a cold disk, by the clock: a bare read {n / cold:,.0f} a "
                    f"second, measured {n / from_disk:,.0f}: {from_disk / cold:.2f} times"
                )
    print(f"\n{told}")


if __name__ == "__main__":
    main()
