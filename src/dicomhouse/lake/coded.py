"""Text columns as dictionaries of just the texts that occur: what is not in the lake's rows must
not stand in its files."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]


def coded(schema: pa.Schema, but: Collection[str] = ()) -> pa.Schema:
    """A schema with dictionaries for its text columns `but` some."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if field.type == pa.string() and field.name not in but
        else field
        for field in schema
    )


class Coded:
    """Rows that are given by codes, each the place of their values in columns of few values.

    Args:
        codes: one a row; below 0 for no value at all.
        n: how many places there are.
    """

    def __init__(self, codes: Codes, n: int) -> None:
        self.at = codes.astype(np.intp)
        is_used = np.zeros(n + 1, dtype=np.bool_)  # the last one for no value
        is_used[self.at] = True
        self._has_none = bool(is_used[-1])
        self._used = np.flatnonzero(is_used[:-1])

    def texts(self, values: pa.StringArray) -> pa.DictionaryArray:
        """A column as a dictionary of just the texts that occur.

        A dictionary cannot hold a null, so the indices are masked instead.
        """
        distinct = values.take(pa.array(self._used)).dictionary_encode()
        places = np.full(len(values) + 1, -1, dtype=np.int32)
        places[self._used] = distinct.indices.fill_null(-1).to_numpy()
        indices = places.take(self.at)
        has_null = self._has_none or distinct.indices.null_count
        return pa.DictionaryArray.from_arrays(
            pa.array(indices, mask=indices < 0 if has_null else None), distinct.dictionary
        )


def used(column: pa.ChunkedArray) -> pa.Array:
    """A column of one chunk whose dictionary, if it has one, holds no value that is not used."""
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_dictionary(array.type):
        return array
    codes = array.indices.drop_null().to_numpy()
    places = np.flatnonzero(np.bincount(codes, minlength=len(array.dictionary)))
    label = np.full(max(len(array.dictionary), 1), -1, dtype=np.int32)
    label[places] = np.arange(len(places), dtype=np.int32)
    indices = pa.array(label).take(array.indices)
    return pa.DictionaryArray.from_arrays(indices, array.dictionary.take(pa.array(places)))
