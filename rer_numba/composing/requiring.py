"""Columns of requirements, mentions and links, with their masks."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.arranging import family_words
from rer_numba.composing.sorting import sort_rows
from rer_numba.composing.state import (
    BY_MENTION,
    N_FAMILIES,
    N_LINK_WORDS,
    N_LINKS,
    N_MENTION_WORDS,
    N_MENTIONS,
    N_NAMES,
    N_ODD_REQUIREMENTS,
    N_PENDING_REQUIREMENTS,
    N_REQUIREMENT_WORDS,
    N_REQUIREMENTS,
)
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, NONE

_BANG, _TILDE, _DASH = 33, 126, 45


# --- requirements


@kernel
def write_requirements(w, o):
    """Columns of requirements without their masks, and what they say about the spelling of versions."""
    word = np.int64(0)
    for row in range(w.head[N_REQUIREMENTS]):
        pending = np.int64(w.requirement_order[row])
        family = np.int64(w.name_family[w.requirement_name[pending]]) - 1
        source = np.int64(w.requirement_source[pending])
        o.requirement_family[row] = family
        o.requirement_range[row] = w.range_map[source - 1] if source else np.int64(NONE)
        o.requirement_flags[row] = w.requirement_flags[pending]
        o.requirement_text[row] = w.requirement_text[pending]
        o.requirement_first_word[row] = 0
        o.requirement_mask_offsets[row] = word
        if source:
            _note_spelling(w, o, np.int64(row), np.int64(o.requirement_range[row]))
            first_word, end_word = _allowed(o, np.int64(row), False)
            o.requirement_first_word[row] = first_word
            word += end_word - first_word
    o.requirement_mask_offsets[w.head[N_REQUIREMENTS]] = word
    w.head[N_REQUIREMENT_WORDS] = word


@kernel
def write_requirement_masks(w, o):
    """Masks of requirements, which are zero before."""
    for row in range(w.head[N_REQUIREMENTS]):
        if o.requirement_mask_offsets[row] < o.requirement_mask_offsets[row + 1]:
            _allowed(o, np.int64(row), True)


@kernel
def _note_spelling(w, o, row, range_id):
    """Note that the bounds of a requirement are spelled with dots, or that it has to be looked at."""
    pending = np.int64(w.requirement_order[row])
    text = np.int64(w.requirement_text[pending])
    name = np.int64(w.name_text[w.requirement_name[pending]])
    start = w.text_start[text]
    end = w.text_start[text + 1]
    while start < end and (w.text_bytes[start] == _BANG or w.text_bytes[start] == _TILDE):
        start += 1
    for k in range(start + (w.text_start[name + 1] - w.text_start[name]) + 1, end):
        if w.text_bytes[k] == _DASH:  # the only other separator that the text of a range can have
            w.odd_requirement[w.head[N_ODD_REQUIREMENTS]] = row
            w.head[N_ODD_REQUIREMENTS] += 1
            return
    for k in range(o.range_offsets[range_id], o.range_offsets[range_id + 1]):
        if o.range_cut[k] != CUT_INF:
            w.version_dotted[o.range_cut[k] >> CUT_SHIFT] = 1


@kernel
def _allowed(o, row, writes):
    """Find the words with the variants that a requirement allows: (the first, the end), or (0, 0); or write its mask.

    Packages descend, so they and the intervals are walked from their ends: in turn those newer than the next interval,
    and those in it.
    """
    shift = o.requirement_mask_offsets[row] - np.int64(o.requirement_first_word[row])
    family = np.int64(o.requirement_family[row])
    refuses = o.requirement_flags[row] & CONFLICT != 0
    start = np.int64(o.range_offsets[o.requirement_range[row]])
    k = np.int64(o.range_offsets[o.requirement_range[row] + 1]) - 2
    base = np.int64(o.family_variant_offsets[family])
    package = np.int64(o.family_package_offsets[family])
    last = np.int64(o.family_package_offsets[family + 1])
    first_word = np.int64(0)
    end_word = np.int64(0)
    while package < last and (k >= start or refuses):
        newer = package
        package = _skip(o, package, last, o.range_cut[k + 1] if k >= start else np.int64(NONE))
        inside = package
        if k >= start:
            package = _skip(o, package, last, o.range_cut[k])
        low = np.int64(o.package_variant_offsets[newer if refuses else inside]) - base
        high = np.int64(o.package_variant_offsets[inside if refuses else package]) - base
        k -= 2
        if low < high:
            first_word = first_word if end_word else low >> 6
            end_word = (high + 63) >> 6
            if writes:
                _set_bits(o.requirement_mask, shift, low, high)
    return first_word, end_word


@inlined
def _skip(o, package, last, cut):
    """The first package from here on that lies below a cut."""
    while package < last and np.int64(o.package_version_rank[package]) << CUT_SHIFT >= cut:
        package += 1
    return package


@inlined
def _set_bits(masks, start, low, high):
    """Set bits `low` to `high` (half-open, not empty) of the mask that begins at word `start`."""
    for word in range(low >> 6, (high + 63) >> 6):
        ones = ~np.uint64(0)
        if low > word << 6:
            ones <<= np.uint64(low & 63)
        if high < (word + 1) << 6:
            ones &= ~(~np.uint64(0) << np.uint64(high & 63))
        masks[start + word] |= ones


@kernel
def write_ranges(w, o, ranges):
    """Columns of ranges."""
    end = np.int64(0)
    for row in range(ranges):
        entry = np.int64(w.range_entry[row])
        o.range_offsets[row] = end
        for k in range(w.range_start[entry], w.range_start[entry + 1]):
            o.range_cut[end] = w.cut[k]
            end += 1
    o.range_offsets[ranges] = end


# --- mentions and links


@kernel
def count_mentions(w, o, r):
    """How long the columns of mentions and links of a set are."""
    _forget_stamps(w)
    mentions = np.int64(0)
    mention_words = np.int64(0)
    links = np.int64(0)
    link_words = np.int64(0)
    for family in range(w.head[N_FAMILIES]):
        words = family_words(w, family)
        found = _distinct_requirements(w, o, r, np.int64(family))
        for k in range(found):
            row = np.int64(w.order[k])
            if o.requirement_range[row] != NONE:
                links += 1
                link_words += np.int64(w.requirement_high[row]) - w.requirement_low[row] + 1
            if w.name_stamp[o.requirement_family[row]] != family + 1:
                w.name_stamp[o.requirement_family[row]] = family + 1
                mentions += 1
                mention_words += words
    w.head[N_MENTIONS] = mentions
    w.head[N_MENTION_WORDS] = mention_words
    w.head[N_LINKS] = links
    w.head[N_LINK_WORDS] = link_words


@kernel
def _forget_stamps(w):
    """From here on stamps are those of families, by their final numbers."""
    for row in range(w.head[N_PENDING_REQUIREMENTS]):
        w.requirement_stamp[row] = 0
    for name in range(w.head[N_NAMES]):
        w.name_stamp[name] = 0


@kernel
def write_mentions(w, o, r):
    """Mentions and links of a set, with their masks, which are zero before."""
    _forget_stamps(w)
    n_mentions = np.int64(0)
    n_links = np.int64(0)
    mention_word = np.int64(0)
    link_word = np.int64(0)
    for family in range(w.head[N_FAMILIES]):
        r.family_mention_offsets[family] = n_mentions
        r.family_mention_mask_offsets[family] = mention_word
        found = _distinct_requirements(w, o, r, np.int64(family))
        sort_rows(w, np.int64(BY_MENTION), np.int64(0), found)
        first_mention = n_mentions
        last_family = np.int64(NONE)
        for k in range(found):
            row = np.int64(w.order[k])
            if o.requirement_family[row] != last_family:
                last_family = np.int64(o.requirement_family[row])
                r.mention_family[n_mentions] = last_family
                r.mention_conflicts[n_mentions] = 0
                r.mention_link_offsets[n_mentions] = n_links
                n_mentions += 1
            w.requirement_mention[row] = n_mentions - 1
            if o.requirement_range[row] != NONE:
                w.requirement_shift[row] = link_word - w.requirement_low[row]
                r.link_requirement[n_links] = row
                r.link_first_word[n_links] = w.requirement_low[row]
                r.link_mask_offsets[n_links] = link_word
                link_word += np.int64(w.requirement_high[row]) - w.requirement_low[row] + 1
                n_links += 1
                if o.requirement_flags[row] & CONFLICT:
                    r.mention_conflicts[n_mentions - 1] = 1
        _write_masks(w, o, r, np.int64(family), mention_word, first_mention)
        mention_word += family_words(w, family) * (n_mentions - first_mention)
    n = w.head[N_FAMILIES]
    r.family_mention_offsets[n] = n_mentions
    r.family_mention_mask_offsets[n] = mention_word
    r.mention_link_offsets[n_mentions] = n_links
    r.link_mask_offsets[n_links] = link_word


@kernel
def _distinct_requirements(w, o, r, family):
    """Put the requirements of a family's variants into `order`, each once, and find their words. Returns how many."""
    found = np.int64(0)
    first = np.int64(o.family_variant_offsets[family])
    for variant in range(first, o.family_variant_offsets[family + 1]):
        word = (variant - first) >> 6
        for k in range(r.variant_requirement_offsets[variant], r.variant_requirement_offsets[variant + 1]):
            row = np.int64(r.variant_requirement[k])
            if w.requirement_stamp[row] != family + 1:
                w.requirement_stamp[row] = family + 1
                w.requirement_low[row] = word
                w.requirement_high[row] = word
                w.order[found] = row
                found += 1
            elif word:
                w.requirement_high[row] = word
    return found


@inlined
def _write_masks(w, o, r, family, mention_word, first_mention):
    words = family_words(w, family)
    first = np.int64(o.family_variant_offsets[family])
    for variant in range(first, o.family_variant_offsets[family + 1]):
        bit = variant - first
        word = bit >> 6
        mask = np.uint64(1) << np.uint64(bit & 63)
        for k in range(r.variant_requirement_offsets[variant], r.variant_requirement_offsets[variant + 1]):
            row = np.int64(r.variant_requirement[k])
            if o.requirement_flags[row] & CONFLICT == 0:
                at = mention_word + words * (w.requirement_mention[row] - first_mention) + word
                r.mention_mask[at] |= mask
            if o.requirement_range[row] != NONE:
                r.link_mask[w.requirement_shift[row] + word] |= mask
