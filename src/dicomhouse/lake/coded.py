"""Text columns as dictionaries of just the texts that occur: what is not in the lake's rows must
not stand in its files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]


def dictionary(values: pa.StringArray, codes: Codes) -> pa.DictionaryArray:
    """Texts chosen by code (none where it is below 0), as a dictionary of just those that occur.

    A dictionary cannot hold a null, so the indices are masked instead.
    """
    is_used = np.zeros(len(values) + 1, dtype=np.bool_)  # the last one for no code at all
    is_used[codes] = True
    used = np.flatnonzero(is_used[:-1])
    distinct = values.take(pa.array(used)).dictionary_encode()
    places = np.full(len(values) + 1, -1, dtype=np.int32)
    places[used] = distinct.indices.fill_null(-1).to_numpy()
    indices = places[codes]
    has_null = len(indices) and indices.min() < 0
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
