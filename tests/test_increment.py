"""Runs that follow each other: whatever happened in between, the lake is that of a clean build."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incremental import build_lake, lake_rows

from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FOLDERS = ("", "a", "a/b", "c")
NAMES = ("1", "2", "3.dcm")
CONTENTS = {
    "ct": dataset_bytes(Modality="CT", PatientID="P1", SliceThickness="1"),
    "ct with more": dataset_bytes(Modality="CT", PatientID="P1", TableHeight="", KVP="120"),
    "mr": dataset_bytes(Modality="MR", PatientID="P2", EchoTime="3", StudyID=""),
    "folder of media": dataset_bytes(FileSetID="F", DirectoryRecordSequence=[]),
    "text": b"not an image",
    "empty": b"",
    "cut": dataset_bytes(Modality="CT", PatientID="P3", FlipAngle="4")[:-9],
}

place = st.tuples(st.sampled_from(("s", "t")), st.sampled_from(FOLDERS), st.sampled_from(NAMES))
change = st.one_of(
    st.tuples(st.just("write"), place, st.sampled_from(sorted(CONTENTS))),
    st.tuples(st.just("write"), place, st.sampled_from(sorted(CONTENTS))),
    st.tuples(st.just("remove"), place),
    st.tuples(st.just("move"), place, place),
    st.tuples(st.just("touch"), place),
)
rounds = st.lists(st.lists(change, min_size=1, max_size=8), min_size=1, max_size=6)


def play(root: Path, changes: list[tuple], second: int) -> None:
    """Carry out changes below `root`/s and `root`/t, all in one second."""
    for kind, *words in changes:
        paths = [root.joinpath(*word) for word in words if isinstance(word, tuple)]
        match kind:
            case "write" if not paths[0].is_dir():
                paths[0].parent.mkdir(parents=True, exist_ok=True)
                paths[0].write_bytes(CONTENTS[words[1]])
                os.utime(paths[0], (second, second))
            case "remove":
                paths[0].unlink(missing_ok=True)
            case "move" if paths[0].exists():
                paths[1].parent.mkdir(parents=True, exist_ok=True)
                paths[0].replace(paths[1])
            case "touch" if paths[0].exists():
                os.utime(paths[0], (second, second))


@given(rounds, st.sampled_from((2, 8, 16)))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_any_sequence_of_changes_gives_the_lake_of_one_clean_build(
    rounds: list[list[tuple]], batch_files: int
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        root = Path(name)
        (root / "s").mkdir()
        (root / "t").mkdir()
        (root / "s" / "first").write_bytes(CONTENTS["ct"])
        sources = (str(root / "s"), str(root / "t"))
        of = {"batch_files": batch_files, "allow_empty": True}
        for second, changes in enumerate(rounds, 1_700_000_000):
            play(root, changes, second)
            build_lake(Settings(sources, root / "w", **of))
        build_lake(Settings(sources, root / "clean"))
        assert lake_rows(root / "w") == lake_rows(root / "clean")
