"""`dicomhouse volume`: from a series, or a folder of files, to an array and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicomhouse.cli.shared import add_generation, positive, say
from dicomhouse.errors import UsageError

HELP = "Put a series together as one array; write and show it."
EXAMPLES = (
    ("volume 1.2.840.113619.2.55.3 --nifti lung.nii.gz", "for other programs"),
    ("volume 1.2.840.113619.2.55.3 --gif pictures --window lung", "to look at"),
    ("volume folder/of/slices --png montage.png", "without a warehouse"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("series", help="a SeriesInstanceUID, a series_key, or a folder of files")
    parser.add_argument("--npy", type=Path, metavar="FILE", help="slices x rows x columns, NumPy's")
    parser.add_argument("--nifti", type=Path, metavar="FILE", help=".nii or .nii.gz")
    parser.add_argument("--png", type=Path, metavar="FILE", help="a montage of the slices")
    parser.add_argument("--planes", type=Path, metavar="FILE", help="the three mid planes, a PNG")
    parser.add_argument(
        "--gif", type=Path, metavar="FOLDER",
        help="three animations: top to bottom, left to right, front to back",
    )  # fmt: skip
    parser.add_argument("--webp", type=Path, metavar="FOLDER", help="the same as WebP")
    parser.add_argument(
        "--window", metavar="WINDOW",
        help="of pictures: tag (default where there is one), percentiles, abdomen, bone, brain, "
        "lung, mediastinum, soft-tissue, or CENTRE,WIDTH",
    )  # fmt: skip
    parser.add_argument("--size", type=positive, metavar="N", help="pixels of a picture's side")
    parser.add_argument(
        "--frames", type=positive, default=100, metavar="N",
        help="of an animation, at most (default: 100)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=positive, default=60, metavar="MS", help="of a frame (default: 60)"
    )
    for choice, text in (
        ("stack", "of several stacks, the number in series_geometry"),
        ("time", "of several images at each position, which one, from 1"),
        ("echo", "of several echoes, which one, from 1, the shortest first"),
    ):
        parser.add_argument(f"--{choice}", type=positive, metavar="N", help=text)
    parser.add_argument("--force", action="store_true", help="stack what is not a volume, too")
    parser.add_argument(
        "--mask-padding", action="store_true", help="NaN where PixelPaddingValue stands"
    )
    parser.add_argument("--jobs", type=positive, default=2, metavar="N", help="worker processes")
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    try:
        from dicomhouse.cli import volume_output
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed: pip install 'dicomhouse[pixels]' brings it."
        ) from None
    volume_output.run(chosen, say)
    return 0
