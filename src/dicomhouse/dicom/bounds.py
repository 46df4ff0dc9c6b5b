"""What one file may cost: a hostile header ends at a bound, with a reason, not with the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on a single file; what exceeds one is told in `files.reason`."""

    max_value_bytes: int = 16 << 20
    """Longer values are not read: their element says `not_read`."""
    max_elements: int = 500_000
    """Elements of one file, nested ones too."""
    max_depth: int = 64
    """Sequences within sequences."""
    max_inflated_bytes: int = 64 << 20
    """What a deflated dataset may unfold to."""
