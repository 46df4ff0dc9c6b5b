"""What one file may cost: a hostile header ends at a bound, with a reason, not with the machine."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on a single file; what exceeds one is told in `files.reason`.

    Together they bound memory and time: a batch of 20,000 files stays below 400 MB with these.
    """

    max_value_bytes: int = 16 << 20
    """Longer values are skipped: their element says `not_read` and has its length, no digest."""
    max_text_bytes: int = 1 << 20
    """Longer texts and lists of numbers have a digest instead of a text, and say `not_read`."""
    max_header_bytes: int = 32 << 20
    """Of a header in one piece: between skipped values, and without the pixels."""
    max_elements: int = 500_000
    """Elements of one file, nested ones too."""
    max_distinct: int = 100_000
    """Elements of one file that no file of its batch had before it."""
    max_objects: int = 60_000
    """Elements and items of a file that pydicom has to read: each becomes an object."""
    max_depth: int = 64
    """Sequences within sequences."""
    max_inflated_bytes: int = 64 << 20
    """What a deflated dataset may unfold to."""
    max_fragments: int = 1_000_000
    """Fragments of encapsulated pixel data, whose headers are walked to measure it."""
    max_seconds: int = field(default=120, repr=False)
    """Within which one file is to be read: storage may hang. It decides nothing of what is read."""

    def __post_init__(self) -> None:
        _check_numbers(self)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run, or a comparison of two files, may spend on pixels that tell copies apart."""

    pixel_bytes: int = 64 << 30
    """Files of one run whose pixels are digested, together; the smallest ones go first."""
    pixel_seconds: int = 900

    def __post_init__(self) -> None:
        _check_numbers(self)


def _check_numbers(limits: Bounds | Budget) -> None:
    for limit in fields(limits):
        if getattr(limits, limit.name) < 1:
            raise ValueError(f"{limit.name} must be at least 1")
