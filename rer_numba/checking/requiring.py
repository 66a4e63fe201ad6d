"""Promises of what variants require: plain, or with build_requires joined in. They hold for each set by itself.

Each returns the first row that breaks it, or NONE.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import kernel
from rer_numba.checking.masks import FITS, has_bits_beyond, look_at_kept, words_over
from rer_numba.checking.state import N_FAMILIES, SENTENCE
from rer_numba.schema import CONFLICT, NONE

_NO_MASK = 3
"""The number of a sentence, behind those of `rer_numba.checking.masks`."""


@kernel
def variant_requirement(c, s, w):
    """A variant has at most one requirement on a family."""
    n_families = w.head[N_FAMILIES]
    for family in range(n_families):
        w.stamp[family] = NONE  # the last variant with a requirement on it
    for variant in range(np.int64(c.family_variant_offsets[n_families])):
        for k in range(s.variant_requirement_offsets[variant], s.variant_requirement_offsets[variant + 1]):
            family = np.int64(c.requirement_family[s.variant_requirement[k]])
            if w.stamp[family] == variant:
                return variant
            w.stamp[family] = variant
    return NONE


@kernel
def variant_extraction(c, s, w):
    """What can be extracted from a variant is no conflict, and in alphabetical order of the families."""
    n_variants = np.int64(c.family_variant_offsets[w.head[N_FAMILIES]])
    for k in range(s.variant_extraction_offsets[n_variants]):
        if c.requirement_flags[s.variant_extraction[k]] & CONFLICT:
            return np.int64(k)
    w.head[SENTENCE] = 1
    for variant in range(n_variants):
        last = np.int64(NONE)
        for k in range(s.variant_extraction_offsets[variant], s.variant_extraction_offsets[variant + 1]):
            rank = np.int64(c.family_rank[c.requirement_family[s.variant_extraction[k]]])
            if rank <= last:
                return np.int64(k)
            last = rank
    return np.int64(NONE)


@kernel
def mention_order(c, s, w):
    """The mentions of a family are in alphabetical order, no family twice."""
    for family in range(w.head[N_FAMILIES]):
        last = np.int64(NONE)
        for mention in range(s.family_mention_offsets[family], s.family_mention_offsets[family + 1]):
            rank = np.int64(c.family_rank[s.mention_family[mention]])
            if rank <= last:
                return np.int64(mention)
            last = rank
    return np.int64(NONE)


@kernel
def mention_mask(c, s, w):
    """The mask of a mention has a bit for each variant of the mentioning family."""
    for family in range(w.head[N_FAMILIES]):
        mentions = np.int64(s.family_mention_offsets[family + 1]) - s.family_mention_offsets[family]
        size = s.family_mention_mask_offsets[family + 1] - s.family_mention_mask_offsets[family]
        if size != words_over(c, family) * mentions:
            return family
    w.head[SENTENCE] = 1
    n = 0
    for family in range(w.head[N_FAMILIES]):
        words = words_over(c, family)
        end = s.family_mention_mask_offsets[family] + words
        while words > 0 and end <= s.family_mention_mask_offsets[family + 1]:
            if has_bits_beyond(c, family, s.mention_mask[end - 1]):
                return n
            n += 1
            end += words
    return NONE


@kernel
def link_requirement(c, s, w):
    """The requirement of a link is about the mentioned family and has a range."""
    for mention in range(s.family_mention_offsets[w.head[N_FAMILIES]]):
        for link in range(s.mention_link_offsets[mention], s.mention_link_offsets[mention + 1]):
            requirement = np.int64(s.link_requirement[link])
            has_range = c.requirement_range[requirement] != NONE
            if not has_range or c.requirement_family[requirement] != s.mention_family[mention]:
                return np.int64(link)
    return np.int64(NONE)


@kernel
def mention_conflicts(c, s, w):
    """A mention is flagged if and only if one of its links is a conflict."""
    for mention in range(s.family_mention_offsets[w.head[N_FAMILIES]]):
        is_conflict = 0
        for link in range(s.mention_link_offsets[mention], s.mention_link_offsets[mention + 1]):
            is_conflict |= c.requirement_flags[s.link_requirement[link]] & CONFLICT
        if s.mention_conflicts[mention] != is_conflict:
            return np.int64(mention)
    return np.int64(NONE)


@kernel
def link_mask(c, s, w):
    """The mask of a link has bits of variants of the mentioning family, one or more."""
    for family in range(w.head[N_FAMILIES]):
        words = words_over(c, family)
        first = np.int64(s.mention_link_offsets[s.family_mention_offsets[family]])
        for link in range(first, np.int64(s.mention_link_offsets[s.family_mention_offsets[family + 1]])):
            start, end = np.int64(s.link_mask_offsets[link]), np.int64(s.link_mask_offsets[link + 1])
            if start == end:
                w.head[SENTENCE] = _NO_MASK
                return link
            problem = look_at_kept(c, family, words, np.int64(s.link_first_word[link]), s.link_mask, start, end)
            if problem != FITS:
                w.head[SENTENCE] = problem
                return link
    return NONE
