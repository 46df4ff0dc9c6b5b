"""How long the models take, and how much memory, for a cohort like OSIC's of any size.

The lake is written first, by the walker from made-up headers. Then the database is registered and
built as in a run, in processes of their own, whose memory is measured.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from io import FileIO
from itertools import repeat
from pathlib import Path

from cohorts import files, part_sizes, write_osic_part

from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.orders import FileFacts
from dicomhouse.lake.parts import PartSummary, write_columns_parts, write_part
from dicomhouse.warehouse import database, models
from dicomhouse.warehouse.plan import Compilation, NodeResult

SOURCE = "osic"


def write_lake(lake: Path, images: int, jobs: int) -> list[PartSummary]:
    """Parts of about 10,000 images each, in series of 30 to 350 like those of OSIC."""
    sizes = list(part_sizes(images))
    with ProcessPoolExecutor(jobs) as pool:
        summaries = list(pool.map(_write_part, repeat(lake), range(len(sizes)), sizes))
    columns = set().union(*(summary.image_columns for summary in summaries))
    write_columns_parts(lake, [SOURCE], columns)
    return summaries


def _write_part(lake: Path, number: int, images: int) -> PartSummary:
    headers = Headers()
    walker = Walker(headers)
    facts = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "cohort")
        write_osic_part(root, number, images)
        for path in files(root):
            with FileIO(path) as stream:
                walker.read(stream)
            name = path.relative_to(root).as_posix()
            facts.append(FileFacts(name, path.stat().st_size, path.stat().st_mtime_ns))
    return write_part(lake, f"part-{number:05}", SOURCE, "bench", facts, headers)


def build_models(folder: Path) -> tuple[float, list[NodeResult], resource.struct_rusage]:
    """Register the lake of `folder` and build the models: the seconds, the nodes, what it used.

    Run it in a process of its own, whose use is told.
    """
    file, record = folder / "warehouse.duckdb", {"run_id": "bench"}
    compilation = Compilation(folder, print)
    template = compilation.template()
    begun = time.perf_counter()
    database.register(file, folder / "lake", {}, {}, record, None, template)
    nodes = models.build(file, compilation.plan())
    seconds = time.perf_counter() - begun
    compilation.close()
    return seconds, nodes, resource.getrusage(resource.RUSAGE_SELF)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=33_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes that write the lake")
    parser.add_argument("--folder", type=Path, help="keep the lake here, or take the one that is")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    try:
        if not (folder / "lake").is_dir():
            begun = time.perf_counter()
            summaries = write_lake(folder / "lake", options.images, options.jobs)
            print(
                f"lake: {sum(part.images for part in summaries):,} images, "
                f"{sum(part.elements for part in summaries):,} elements, "
                f"{sum(part.n_bytes for part in summaries) / 1e6:.0f} MB, "
                f"written in {time.perf_counter() - begun:.0f} s"
            )
        (folder / "warehouse.duckdb").unlink(missing_ok=True)
        with ProcessPoolExecutor(1) as measured:
            seconds, nodes, used = measured.submit(build_models, folder).result()
        size = (folder / "warehouse.duckdb").stat().st_size
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    kinds: Counter[str] = Counter()
    for node in nodes:
        kinds[node.kind] += node.seconds
    print(
        f"models: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"at most {used.ru_maxrss / 2**20:.2f} GiB, a database of {size / 1e6:.0f} MB"
    )
    print("  seconds by kind: " + ", ".join(f"{kind} {s:.1f}" for kind, s in kinds.items()))
    for node in sorted(nodes, key=lambda node: -node.seconds)[:20]:
        print(f"  {node.seconds:7.2f} s  {node.kind} {node.name}")


if __name__ == "__main__":
    main()
