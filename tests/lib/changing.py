"""Sequences of changes to a source."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st

from dicomhouse.testing import dataset_bytes

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


FOLDERS = ("", "a", "a/b", "c")


NAMES = ("1", "2", "3.dcm")


CONTENTS = {
    "ct": dataset_bytes(Modality="CT", PatientID="P1", SliceThickness="1"),
    "ct of other pixels": dataset_bytes(
        Modality="CT", PatientID="P1", SliceThickness="1", PixelData=b"\1" * 512
    ),
    "next ct": dataset_bytes(Modality="CT", PatientID="P1", InstanceNumber=2),
    "ct after a gap": dataset_bytes(Modality="CT", PatientID="P1", InstanceNumber=5),
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
    st.tuples(st.just("rename"), place, place),
    st.tuples(st.just("clear"), st.sampled_from(("s", "t"))),
)


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
            case "rename":  # the folders that these are in
                with suppress(OSError):
                    paths[0].parent.rename(paths[1].parent)
                (root / words[0][0]).mkdir(exist_ok=True)
            case "clear":
                for path in (root / words[0]).iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def write(path: Path, kind: str, second: int = 1_700_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENTS[kind])
    os.utime(path, (second, second))
