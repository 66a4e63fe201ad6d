"""Masks over the variants of a family: how long they are, and that no bit stands for a variant that is not there."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined

FITS, DOES_NOT_FIT, EMPTY_AT_AN_END, BITS_BEYOND = range(-1, 3)
"""What is wrong with a mask of which the empty ends are left out: the number of the sentence that says so."""


@inlined
def _variants_of(c, family):
    return np.int64(c.family_variant_offsets[family + 1]) - c.family_variant_offsets[family]


@inlined
def words_over(c, family):
    """How many words a mask over the variants of a family takes."""
    return (_variants_of(c, family) + 63) >> 6


@inlined
def has_bits_beyond(c, family, last_word):
    """True when the last word of a mask over the variants of a family has a bit at or above their number."""
    used = _variants_of(c, family) & 63
    return used != 0 and last_word >> np.uint64(used) != np.uint64(0)


@inlined
def look_at_kept(c, family, words, first, masks, start, end):
    """What is wrong with a mask over a family that may have so many words.

    It is kept from its first to its last word that is not empty: from word `first` on, in ``masks[start:end]``.
    """
    kept = end - start
    if first < 0 or first + kept > words or (kept == 0 and first > 0):
        return DOES_NOT_FIT
    if kept == 0:
        return FITS
    if masks[start] == 0 or masks[end - 1] == 0:
        return EMPTY_AT_AN_END
    if first + kept == words and has_bits_beyond(c, family, masks[end - 1]):
        return BITS_BEYOND
    return FITS
