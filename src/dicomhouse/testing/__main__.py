"""`python -m dicomhouse.testing FOLDER`: build a cohort from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import UsageError
from .cohort import PROFILES, build_cohort
from .defects import Defect


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dicomhouse.testing", description="Build a cohort of made-up DICOM files."
    )
    parser.add_argument("folder", metavar="FOLDER", help="a new or empty folder")
    parser.add_argument("--patients", type=int, default=3, metavar="N")
    parser.add_argument("--slices", type=int, default=20, metavar="N", help="images of a series")
    parser.add_argument("--rows", type=int, default=16, metavar="N")
    parser.add_argument("--columns", type=int, default=16, metavar="N")
    parser.add_argument("--profile", choices=list(PROFILES), default="osic")
    parser.add_argument(
        "--defect",
        type=_defect,
        action="append",
        default=[],
        metavar="NAME:PATIENT",
        help=f"plant a defect, patients counted from 0; names: {', '.join(Defect)}",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--headers-only", action="store_true", help="leave the pixel data out")
    parser.add_argument("--chest", action="store_true", help="pixels that show a chest")
    options = parser.parse_args(arguments)
    try:
        cohort = build_cohort(
            options.folder,
            patients=options.patients,
            slices=options.slices,
            rows=options.rows,
            columns=options.columns,
            profile=options.profile,
            defects=options.defect,
            seed=options.seed,
            pixels=not options.headers_only,
            chest=options.chest,
        )
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"{cohort.folder}: {cohort.patients} patients, {len(cohort.series)} series, "
        f"{cohort.n_images} images, {cohort.n_files} files ({cohort.profile})"
    )
    for planted in cohort.defects:
        first, *rest = planted.files
        more = f" and {len(rest)} more" if rest else ""
        print(f"  {planted.defect} in patient {planted.patient}: {first}{more}")
    return 0


def _defect(words: str) -> tuple[str, int]:
    name, _, patient = words.partition(":")
    if not patient.isdecimal():
        raise argparse.ArgumentTypeError(f"{words!r} is not NAME:PATIENT, as missing_slice:0")
    return name, int(patient)


if __name__ == "__main__":
    sys.exit(main())
