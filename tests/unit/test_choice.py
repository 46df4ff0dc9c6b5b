"""Which parts and files a run uses, reads and merges: each file's rows once, whatever is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dicomhouse.filesystem import Files, below
from dicomhouse.store.plan import Choice, Part, batches, n_files

Facts = tuple[str, str, str | None]
"""Size, time and problem of a file."""

SOURCES = ("s", "t")
facts = st.tuples(
    st.sampled_from(("1", "2")), st.sampled_from(("7", "-")), st.sampled_from((None, None, "odd"))
)
paths = st.builds(below, st.sampled_from(("", "a", "a/b")), st.sampled_from(("1", "2", "3", "4")))
trees = st.dictionaries(paths, facts, max_size=12)


@dataclass
class Past:
    """A part, by path."""

    source: str
    files: dict[str, Facts]
    not_read: set[str]
    is_usable: bool
    is_published: bool


pasts = st.builds(
    Past,
    st.sampled_from(SOURCES),
    trees.filter(bool),
    st.sets(paths),
    st.booleans(),
    st.just(False),
)


@st.composite
def lakes(draw: st.DrawFn) -> list[Past]:
    """Leftovers, then published parts, in which each file stands once."""
    parts = draw(st.lists(pasts, max_size=3))
    for source in SOURCES:
        left = draw(trees)
        while left:
            some = draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
            files = {path: left.pop(path) for path in sorted(some)}
            parts.append(Past(source, files, draw(st.sets(paths)), draw(st.booleans()), True))
    return parts


def by_folder(tree: Mapping[str, Facts]) -> Iterator[Files]:
    for folder in sorted({path.rpartition("/")[0] for path in tree}):
        rows = {
            path.rpartition("/")[2]: tree[path]
            for path in sorted(tree)
            if path.rpartition("/")[0] == folder
        }
        sizes, times, problems = zip(*rows.values(), strict=True)
        told = {name: problem for name, problem in zip(rows, problems, strict=True) if problem}
        yield Files(folder, "/".join(rows), " ".join(sizes), " ".join(times), told)


def paths_of(files: Files) -> list[str]:
    return [below(files.folder, name) for name in files.names.split("/")]


def part(number: int, past: Past) -> Part:
    not_read: dict[str, list[str]] = {}
    for path in past.not_read & past.files.keys():
        folder, _, name = path.rpartition("/")
        not_read.setdefault(folder, []).append(name)
    folders = list(by_folder(past.files))
    return Part(str(number), past.source, folders, not_read, past.is_usable, past.is_published)


@given(
    lakes(),
    st.fixed_dictionaries(dict.fromkeys(SOURCES, trees)),
    st.fixed_dictionaries({source: st.sets(paths) for source in SOURCES}),
    st.booleans(),
    st.randoms(),
)
def test_rows_of_each_file_come_from_the_first_part_that_has_them_or_it_is_read(
    pasts: list[Past],
    present: dict[str, dict[str, Facts]],
    again: dict[str, set[str]],
    retry: bool,
    random: object,
) -> None:
    for past in pasts:  # most files are as they were
        if random.random() < 0.7:
            present[past.source] |= past.files
    choice = Choice([part(*numbered) for numbered in enumerate(pasts)], again, retry)
    read: dict[str, set[str]] = {source: set() for source in SOURCES}
    seen = [(source, files) for source in SOURCES for files in by_folder(present[source])]
    random.shuffle(seen)
    for source, found in seen:
        ends = sorted({random.randint(1, found.n_files), found.n_files})
        for piece in found.pieces(ends):
            if (wanted := choice.wanted(source, piece)) is not None:
                assert set(wanted.rows()) <= set(piece.rows())
                assert wanted.problems.items() <= piece.problems.items()
                read[source] |= set(paths_of(wanted))

    known: dict[tuple[str, str], Facts] = {}
    tried: set[tuple[str, str]] = set()
    for past in pasts:
        for path in past.files:
            if past.is_published:
                known[past.source, path] = past.files[path]
            now = present[past.source].get(path)
            if retry and path in past.not_read and now is not None and now[2] is None:
                tried.add((past.source, path))
    taken: set[tuple[str, str]] = set()
    uses = {use.name: use for use in choice.uses()}
    for number, past in enumerate(pasts):
        mine = {
            path
            for path, facts in past.files.items()
            if past.is_usable
            and present[past.source].get(path) == facts
            and path not in again[past.source]
            and not {(past.source, path)} & (tried | taken)
        }
        taken |= {(past.source, path) for path in mine}
        use = uses.pop(str(number), None)
        if mine:
            assert (use.source, use.n_files) == (past.source, len(mine))
            assert use.dropped == past.files.keys() - mine
        else:
            assert use is None
    assert not uses
    there = {(source, path): facts for source in SOURCES for path, facts in present[source].items()}
    assert {(s, path) for s in SOURCES for path in read[s]} == there.keys() - taken
    assert choice.tried_again == len(tried)
    assert +choice.drift == +Counter(
        new=len(there.keys() - known.keys()),
        gone=len(known.keys() - there.keys()),
        changed=sum(there[file] != known[file] for file in there.keys() & known.keys()),
    )


def folders(sizes: list[int]) -> list[Files]:
    made = []
    for number, size in enumerate(sizes):
        ones = " ".join("1" * size)
        made.append(Files(str(number), ones.replace(" ", "/"), ones, ones, {}))
    return made


@given(st.lists(st.lists(st.integers(1, 90), max_size=12), max_size=3), st.integers(1, 40),
       st.integers(1, 6))  # fmt: skip
def test_batches_hold_each_file_once_and_are_of_bounded_size(
    sources: list[list[int]], size: int, jobs: int
) -> None:
    wanted = [(str(s), one) for s, sizes in enumerate(sources) for one in folders(sizes)]
    made = list(batches(wanted, size, jobs))
    for source, sizes in enumerate(sources):
        own = [batch for name, batch in made if name == str(source)]
        counts: Counter[str] = Counter()
        for batch in own:
            assert 0 < n_files(batch) <= 2 * size
            for files in batch:
                counts[files.folder] += files.n_files
        assert counts == {str(number): n for number, n in enumerate(sizes)}
        order = [int(files.folder) for batch in own for files in batch]
        assert order == sorted(order)


def test_batch_is_made_before_all_files_are_found() -> None:
    found = 0

    def finding() -> Iterator[tuple[str, Files]]:
        nonlocal found
        for one in folders([5] * 100):
            found += 1
            yield "s", one

    made = batches(finding(), 10, jobs=2)
    _, batch = next(made)
    assert (n_files(batch), found) == (10, 6)
    list(made)
    assert found == 100


def test_last_batches_are_as_many_and_as_large_for_each_job() -> None:
    def sizes(counts: list[int], jobs: int) -> list[int]:
        wanted = [("s", one) for one in folders(counts)]
        return [n_files(batch) for _, batch in batches(wanted, 100, jobs)]

    assert sizes([10] * 15, 2) == [80, 70]
    assert sizes([150], 2) == [75, 75]
    assert sizes([10] * 9, 2) == [90]  # halves would be small parts, to be merged
    assert sizes([10] * 25, 2) == [70, 60, 60, 60]
    assert sizes([10] * 9, 1) == [90]
