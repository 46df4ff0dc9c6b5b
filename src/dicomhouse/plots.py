"""Charts of a warehouse, counted in SQL (`sql/plots/`) and drawn by Altair."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dicomhouse.errors import UsageError

try:
    import altair as alt
except ModuleNotFoundError as error:
    raise UsageError(
        f"{error.name} is not installed: pip install 'dicomhouse[notebook]' brings it."
    ) from None

if TYPE_CHECKING:
    import polars as pl

_BINS = 40
_WIDTH = 480
_LABEL = 240
"""Pixels of the longest value beside a bar."""


class Plots:
    """What there is to see at a glance; each chart is an `alt.Chart`, to be changed as any.

    Charts are drawn as SVG where no other renderer of Altair's was chosen, since its default loads
    the parts that draw from the network.
    """

    def __init__(self, ask: Callable[..., pl.DataFrame]) -> None:
        """Take what answers a question of `sql/plots/` by its name and variables."""
        self._ask = ask
        if alt.renderers.active == "default":
            alt.renderers.enable("svg")

    def spacing(self, source: str | None = None) -> alt.Chart:
        """How far slices lie apart: stacks by the median of their steps, in mm.

        Args:
            source: of this source alone.
        """
        return (
            _chart(self._ask("spacing", source=source), "Distance of neighbouring slices")
            .mark_bar()
            .encode(
                alt.X("spacing_mm:Q").bin(maxbins=_BINS).title("mm"),
                alt.Y("sum(stacks):Q", axis=_whole()).title("stacks"),
                alt.Color("Modality:N"),
            )
        )

    def tag(self, path: str, source: str | None = None, top: int = 30) -> alt.Chart:
        """How many images have which value of a tag.

        Args:
            path: a keyword, or the path of a nested tag, as in `tag_values`.
            source: of this source alone.
            top: at most so many values, the commonest.

        Raises:
            UsageError: no image has a value there.
        """
        counted = self._ask("tag", path=path, source=source, top=top)
        if counted.is_empty():
            of = f" of the source {source}" if source else ""
            raise UsageError(f"no image{of} has a value of {path}; `tag_profile` lists the paths.")
        first = counted.row(0, named=True)
        title = first["path"]
        if first["distinct_values"] > counted.height:
            title += f": {counted.height} of {first['distinct_values']:,} values"
        return (
            _chart(counted.select("value", "images"), title)
            .mark_bar()
            .encode(
                alt.X("images:Q", axis=_whole()),
                alt.Y("value:N").sort(None).title(None).axis(labelLimit=_LABEL),
            )
        )

    def slices_per_patient(self, source: str | None = None) -> alt.Chart:
        """How many images patients have.

        Args:
            source: of this source alone.
        """
        return (
            _chart(self._ask("slices_per_patient", source=source), "Images of a patient")
            .mark_bar()
            .encode(
                alt.X("images:Q").bin(maxbins=_BINS, minstep=1).title("images"),
                alt.Y("sum(patients):Q", axis=_whole()).title("patients"),
                alt.Color("source:N"),
            )
        )

    def scanners_by_month(self, source: str | None = None) -> alt.Chart:
        """Which scanners made how many series, by the month of StudyDate.

        Args:
            source: of this source alone.
        """
        return (
            _chart(self._ask("scanners_by_month", source=source), "Series of each scanner")
            .mark_bar()
            .encode(
                alt.X("month:O").title(None),
                alt.Y("series:Q", axis=_whole()),
                alt.Color("scanner:N").scale(scheme="tableau20").legend(labelLimit=_LABEL),
            )
        )


def _chart(rows: pl.DataFrame, title: str) -> alt.Chart:
    return alt.Chart(rows, title=title).properties(width=_WIDTH)


def _whole() -> alt.Axis:
    """Of counts: no tick between whole numbers."""
    return alt.Axis(tickMinStep=1)
