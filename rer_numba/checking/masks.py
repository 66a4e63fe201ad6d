"""Masks over the variants of a family: how long they are, and that no bit stands for a variant that is not there."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.checking.state import N_FAMILIES, SENTENCE
from rer_numba.schema import NONE


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


@kernel
def check_masks(c, s, masks, of_links, w):
    """The rows of each family, mentions or links, have one mask each, one behind the other, over its variants.

    Returns the first family for which the lengths do not fit; or, with another sentence, the first mask with a bit too
    many, counted among those that have words.
    """
    for family in range(w.head[N_FAMILIES]):
        rows = _first_row(s, of_links, family + 1) - _first_row(s, of_links, family)
        if masks.offsets[family + 1] - masks.offsets[family] != words_over(c, family) * rows:
            return family
    w.head[SENTENCE] = 1
    n = 0
    for family in range(w.head[N_FAMILIES]):
        words = words_over(c, family)
        end = masks.offsets[family] + words
        while words > 0 and end <= masks.offsets[family + 1]:
            if has_bits_beyond(c, family, masks.words[end - 1]):
                return n
            n += 1
            end += words
    return NONE


@inlined
def _first_row(s, of_links, family):
    """The first mention of a family, or the first link."""
    mention = np.int64(s.family_mention_offsets[family])
    return np.int64(s.mention_link_offsets[mention]) if of_links else mention
