"""Many bit masks at once, in words of 64 bits, without a loop in Python."""

from __future__ import annotations

import numpy as np

from rer_numba.facts import offsets_of, rows_of
from rer_numba.schema import IntArray


def set_bit_ranges(words: IntArray, starts: IntArray, first: IntArray, last: IntArray) -> None:
    """Set bits ``first`` to ``last`` (half-open, not empty) of the masks that begin at words ``starts``."""
    word = first >> 6
    count = ((last - 1) >> 6) - word + 1
    at = rows_of(word, count)
    low = np.maximum(np.repeat(first, count) - 64 * at, 0).astype(np.uint64)
    high = np.minimum(np.repeat(last, count) - 64 * at, 64).astype(np.uint64)
    ones = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    np.bitwise_or.at(words, np.repeat(starts, count) + at, (ones << low) & (ones >> (np.uint64(64) - high)))


def trimmed(n_rows: int, rows: IntArray, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Which words of masks are kept: from the first to the last that is not empty.

    Parameters
    ----------
    n_rows : int
        How many masks.
    rows, low, high : array of int
        Words ``low`` to ``high`` (half-open, not empty) of the mask of each of these rows are not empty.

    Returns
    -------
    first_word : array of int64, (n_rows,)
        0 for a mask without bits.
    offsets : array of int64, (n_rows + 1,)
        Where the kept words of each mask begin.
    """
    end = np.zeros(n_rows, np.int64)
    np.maximum.at(end, rows, high)
    first_word = end.copy()
    np.minimum.at(first_word, rows, low)
    return first_word, offsets_of(end - first_word)


class FamilyMasks:
    """Masks over the variants of a family, for rows that are sorted by family.

    Parameters
    ----------
    family : array of int, (rows,)
    word_counts : array of int, (families,)

    Attributes
    ----------
    family_offsets : array of int64, (families + 1,)
        Where the masks of each family begin.
    words : array of uint64
    """

    def __init__(self, family: IntArray, word_counts: IntArray) -> None:
        self._starts = offsets_of(word_counts[family])
        self.family_offsets = self._starts[np.searchsorted(family, np.arange(len(word_counts) + 1))]
        self.words = np.zeros(self._starts[-1], np.uint64)

    def set(self, rows: IntArray, bits: IntArray) -> None:
        """Set a bit of the mask of each of these rows."""
        np.bitwise_or.at(self.words, self._starts[rows] + (bits >> 6), np.uint64(1) << (bits & 63).astype(np.uint64))
