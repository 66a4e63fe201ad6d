"""Sorting rows by what they say: runs that are in order already, as those of tables are, are merged.

Stable: of equal rows the one that came first stays first.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.state import (
    BY_CUTS,
    BY_FOLDER,
    BY_GIVEN,
    BY_KEY,
    BY_MENTION,
    BY_NAME,
    BY_TEXT,
    BY_VERSION,
)
from rer_numba.composing.texts import is_text_before


@kernel
def sort_rows(w, kind, start, end):
    """Sort `order` from `start` to `end`."""
    while _run_end(w, kind, start, end) < end:
        first = start
        while first < end:
            middle = _run_end(w, kind, first, end)
            last = middle
            if middle < end:
                last = _run_end(w, kind, middle, end)
                _merge(w, kind, first, middle, last)
            first = last


@kernel
def _run_end(w, kind, start, end):
    """Where the rows that are in order from `start` on end."""
    at = start + 1
    while at < end and not is_before(w, kind, np.int64(w.order[at]), np.int64(w.order[at - 1])):
        at += 1
    return min(at, end)


@kernel
def _merge(w, kind, first, middle, last):
    """Merge two runs."""
    for k in range(first, middle):
        w.merged[k] = w.order[k]
    left = first
    right = middle
    at = first
    while left < middle:
        if right < last and is_before(w, kind, np.int64(w.order[right]), np.int64(w.merged[left])):
            w.order[at] = w.order[right]
            right += 1
        else:
            w.order[at] = w.merged[left]
            left += 1
        at += 1


@kernel
def is_before(w, kind, a, b):
    """True when row `a` stands before row `b`."""
    if kind == BY_KEY:
        return _is_key_before(w, a, b)
    if kind == BY_NAME:
        return is_text_before(w, np.int64(w.name_text[a]), np.int64(w.name_text[b]))
    if kind == BY_TEXT:
        return is_text_before(w, np.int64(w.requirement_text[a]), np.int64(w.requirement_text[b]))
    if kind == BY_CUTS:
        return _is_range_before(w, a, b)
    if kind == BY_VERSION:
        if w.candidate_rank[a] != w.candidate_rank[b]:
            return w.candidate_rank[a] > w.candidate_rank[b]
        return w.candidate_given[a] < w.candidate_given[b]
    if kind == BY_GIVEN:
        return w.candidate_given[a] < w.candidate_given[b]
    if kind == BY_MENTION:
        return _mention_key(w, a) < _mention_key(w, b)
    if kind == BY_FOLDER:
        if w.folder_name[a] != w.folder_name[b]:
            return is_text_before(w, np.int64(w.folder_name[a]), np.int64(w.folder_name[b]))
        return w.folder_path[a] < w.folder_path[b]
    return w.name_rank[a] < w.name_rank[b]


@kernel
def _is_key_before(w, a, b):
    """True when the version of entry `a` is the lower one."""
    if w.version_prefix[a] != w.version_prefix[b]:
        return w.version_prefix[a] < w.version_prefix[b]
    start_a = w.version_start[a]
    start_b = w.version_start[b]
    length_a = w.version_start[a + 1] - start_a
    length_b = w.version_start[b + 1] - start_b
    for k in range(min(length_a, length_b)):
        byte_a = w.key_bytes[start_a + k]
        byte_b = w.key_bytes[start_b + k]
        if byte_a != byte_b:
            return byte_a < byte_b
    return length_a < length_b


@kernel
def _is_range_before(w, a, b):
    """True when the range of entry `a` comes first in rez's order."""
    start_a = np.int64(w.range_start[a])
    start_b = np.int64(w.range_start[b])
    length_a = w.range_start[a + 1] - start_a
    length_b = w.range_start[b + 1] - start_b
    for k in range(min(length_a, length_b)):
        if w.cut[start_a + k] != w.cut[start_b + k]:
            return w.cut[start_a + k] < w.cut[start_b + k]
    return length_a < length_b


@inlined
def _mention_key(w, row):
    """By the name of the family of a requirement, then by the requirement; `row` is its final number."""
    pending = np.int64(w.requirement_order[row])
    return (np.int64(w.name_rank[w.requirement_name[pending]]) << 32) | row
