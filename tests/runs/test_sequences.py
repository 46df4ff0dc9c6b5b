"""Whole runs that follow each other, models included: the warehouse is that of a clean build.

A build takes seconds, so that few sequences are tried; DICOMHOUSE_EXAMPLES=50 tries others, more.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from changing import CONTENTS, MEMORY, change, play
from comparing import assert_equal_warehouses
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from incremental import lake_rows

from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings

EXAMPLES = os.environ.get("DICOMHOUSE_EXAMPLES")
rounds = st.lists(st.lists(change, min_size=3, max_size=10), min_size=2, max_size=3)


@given(rounds)
@settings(
    deadline=None,
    max_examples=int(EXAMPLES or 2),
    derandomize=EXAMPLES is None,
    phases=[Phase.generate],  # to shrink a sequence would take hours
    suppress_health_check=list(HealthCheck),
)
def test_any_sequence_of_changes_gives_the_warehouse_of_one_clean_build(
    rounds: list[list[tuple]],
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        root = Path(name)
        for source, kind in (("s", "ct"), ("s", "next ct"), ("t", "mr")):
            (root / source).mkdir(exist_ok=True)
            (root / source / kind).write_bytes(CONTENTS[kind])
        sources, of = (
            (str(root / "s"), str(root / "t")),
            {"allow_empty": True, "allow_shrink": True},
        )
        for second, changes in enumerate(rounds, 1_700_000_000):
            play(root, changes, second)
            build_direct(Settings(sources, root / "w", **of, batch_files=2), lambda line: None)
        build_direct(Settings(sources, root / "clean", **of), lambda line: None)
        assert lake_rows(root / "w") == lake_rows(root / "clean")
        assert_equal_warehouses(root / "w", root / "clean")
