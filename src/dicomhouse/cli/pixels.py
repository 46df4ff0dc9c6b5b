"""`dicomhouse pixels`: the values of the pixels of what a warehouse has."""

from __future__ import annotations

import argparse

from dicomhouse.cli.build import add_settings, run_build

HELP = "Measure the pixels of all images, and publish: a build with --pixels."
EXAMPLES = (
    ("pixels --jobs 8", "of what is new or changed; the first time of all"),
    ("pixels --retry", "and read again what could not be read in full"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, but=("forget", "allow_empty", "allow_shrink", "pixels"))


def run(chosen: argparse.Namespace) -> int:
    chosen.pixels = True
    return run_build(chosen, ())
