"""What is read of a fixed set of files, against what was read of them before.

`python tests/test_reading.py` writes the digest anew, once `versions.READER` is raised.
"""

from __future__ import annotations

import json
import tempfile
from hashlib import blake2b
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds
from places import PYDICOM_DATA
from pydicom import __version__ as pydicom_version

from dicomhouse import versions
from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.orders import FileFacts
from dicomhouse.lake.parts import write_part
from dicomhouse.testing import build_cohort
from dicomhouse.testing.defects import Defect
from dicomhouse.testing.hostile import hostile_files

KNOWN = Path(__file__).with_name("reading.json")


def digest(folder: Path) -> dict[str, object]:
    """Of all rows that stand in the lake, but for the run's id."""
    planted = [(defect, patient) for patient, defect in enumerate(Defect)]
    build_cohort(folder / "cohort", patients=len(planted), slices=8, defects=planted)
    build_cohort(folder / "hospital", patients=1, slices=4, profile="hospital")
    for number, (_, content) in enumerate(hostile_files(many=50)):
        (folder / f"hostile{number:02}").write_bytes(content)
    headers, facts = Headers(), []
    walker = Walker(headers, Bounds(max_elements=5_000))
    for root in (folder, PYDICOM_DATA / "test_files"):
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            with path.open("rb", buffering=0) as stream:
                walker.read(stream)
            facts.append(FileFacts(path.relative_to(root).as_posix(), 0, 0))
    lake = folder / "lake"
    write_part(lake, "part", "source", "run", facts, headers)
    found = blake2b(digest_size=16)
    rows = 0
    for table in sorted(path for path in lake.iterdir() if path.is_dir()):
        held = ds.dataset(table, partitioning="hive").to_table()
        held = held.select(sorted(name for name in held.column_names if name != "run_id"))
        order = pc.sort_indices(
            held, [(name, "ascending") for name in ("file_id", "position", "path", "content")
                   if name in held.column_names],
        )  # fmt: skip
        for row in held.take(order).to_pylist():
            found.update(repr(row).encode())
            rows += 1
    return {
        "reader": versions.READER,
        "pydicom": pydicom_version,
        "rows": rows,
        "digest": found.hexdigest(),
    }


def test_what_is_read_changes_with_the_readers_number_alone(tmp_path: Path) -> None:
    assert digest(tmp_path) == json.loads(KNOWN.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as private:
        KNOWN.write_text(json.dumps(digest(Path(private)), indent=2) + "\n")
