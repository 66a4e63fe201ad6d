"""Texts, names and errors of all parts in one numbering.

A text is first copied behind those that are known, and stays there if it is new. Texts compare by their UTF-8 bytes,
which is the order of Python's strings.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.state import (
    ERROR_BASE,
    ERROR_SLOTS,
    FAMILY_BASE,
    N_ASKED,
    N_ASKED_ERRORS,
    N_ERRORS,
    N_NAMES,
    N_TEXTS,
    SOURCE_TEXT_BASE,
    TEXT_BASE,
    TEXT_SLOTS,
)

_HASH_PRIME = 16777619
_HASH_MASK = 0x7FFFFFFF
PREFIX = 7
"""Bytes of a text that are compared at once."""


# --- texts


@kernel
def intern_text(w, length):
    """The number of the text that has been copied behind all others."""
    n = w.head[N_TEXTS]
    start = w.text_start[n]
    key = np.int64(0)
    for k in range(start, start + length):
        key = ((key ^ np.int64(w.text_bytes[k])) * _HASH_PRIME) & _HASH_MASK
    last_slot = w.head[TEXT_SLOTS] - 1
    slot = key & last_slot
    while w.text_slot[slot]:
        text = np.int64(w.text_slot[slot]) - 1
        if w.text_hash[text] == key and _is_same(w, text, start, length):
            return text
        slot = (slot + 1) & last_slot
    w.text_slot[slot] = n + 1
    w.text_hash[n] = key
    w.text_start[n + 1] = start + length
    prefix = np.int64(0)
    for k in range(PREFIX):
        prefix <<= 8
        if k < length:
            prefix |= np.int64(w.text_bytes[start + k])
    w.text_prefix[n] = prefix
    w.head[N_TEXTS] = n + 1
    if 2 * (n + 1) > w.head[TEXT_SLOTS]:
        _grow_text_slots(w)
    return n


@inlined
def _is_same(w, text, start, length):
    first = w.text_start[text]
    if w.text_start[text + 1] - first != length:
        return False
    for k in range(length):
        if w.text_bytes[first + k] != w.text_bytes[start + k]:
            return False
    return True


@kernel
def _grow_text_slots(w):
    """Double the table, so that what it touches of its room goes with what is in it."""
    slots = 2 * w.head[TEXT_SLOTS]
    for slot in range(slots):
        w.text_slot[slot] = 0
    for text in range(w.head[N_TEXTS]):
        slot = np.int64(w.text_hash[text]) & (slots - 1)
        while w.text_slot[slot]:
            slot = (slot + 1) & (slots - 1)
        w.text_slot[slot] = text + 1
    w.head[TEXT_SLOTS] = slots


@kernel
def text_of(p, w, row):
    """The number of a text of a part."""
    at = p.about[TEXT_BASE] + row
    if w.text_map[at] == 0:
        start = p.text_offsets[row]
        length = p.text_offsets[row + 1] - start
        end = w.text_start[w.head[N_TEXTS]]
        for k in range(length):
            w.text_bytes[end + k] = p.text_bytes[start + k]
        w.text_map[at] = intern_text(w, length) + 1
    return np.int64(w.text_map[at]) - 1


@kernel
def source_text_of(p, w, row):
    """The number of a source text of a part."""
    at = p.about[SOURCE_TEXT_BASE] + row
    if w.source_map[at] == 0:
        start = p.source_text_offsets[row]
        length = p.source_text_offsets[row + 1] - start
        end = w.text_start[w.head[N_TEXTS]]
        for k in range(length):
            w.text_bytes[end + k] = p.source_text_bytes[start + k]
        w.source_map[at] = intern_text(w, length) + 1
    return np.int64(w.source_map[at]) - 1


@kernel
def intern_asked(w):
    """Number the texts that came from Python."""
    for n in range(w.head[N_ASKED]):
        start = w.asked_offsets[n]
        length = w.asked_offsets[n + 1] - start
        end = w.text_start[w.head[N_TEXTS]]
        for k in range(length):
            w.text_bytes[end + k] = w.asked_bytes[start + k]
        w.asked_text[n] = intern_text(w, length)


@kernel
def is_text_before(w, a, b):
    """True when a text stands before another in the alphabetical order."""
    if w.text_prefix[a] != w.text_prefix[b]:
        return w.text_prefix[a] < w.text_prefix[b]
    start_a = w.text_start[a]
    start_b = w.text_start[b]
    length_a = w.text_start[a + 1] - start_a
    length_b = w.text_start[b + 1] - start_b
    for k in range(min(length_a, length_b)):
        byte_a = w.text_bytes[start_a + k]
        byte_b = w.text_bytes[start_b + k]
        if byte_a != byte_b:
            return byte_a < byte_b
    return length_a < length_b


# --- names


@kernel
def name_of_text(w, text):
    """The number of the name that is a text."""
    if w.text_name[text] == 0:
        name = w.head[N_NAMES]
        w.name_text[name] = text
        w.head[N_NAMES] = name + 1
        w.text_name[text] = name + 1
    return np.int64(w.text_name[text]) - 1


@kernel
def name_of(p, w, row):
    """The name of a family of a part."""
    at = p.about[FAMILY_BASE] + row
    if w.family_map[at] == 0:
        w.family_map[at] = name_of_text(w, text_of(p, w, np.int64(p.family_text[row]))) + 1
    return np.int64(w.family_map[at]) - 1


# --- errors


@kernel
def error_of(p, w, row):
    """The number of an error of a part; NONE stays NONE."""
    if row < 0:
        return np.int64(row)
    at = p.about[ERROR_BASE] + row
    if w.error_map[at] == 0:
        kind = text_of(p, w, np.int64(p.error_type_text[row]))
        value = text_of(p, w, np.int64(p.error_value_text[row]))
        w.error_map[at] = intern_error(w, kind, value) + 1
    return np.int64(w.error_map[at]) - 1


@kernel
def intern_error(w, kind, value):
    """The number of an error, given by the texts of its class and of its message."""
    last_slot = w.head[ERROR_SLOTS] - 1
    slot = (kind * 31 + value) & last_slot
    while w.error_slot[slot]:
        error = np.int64(w.error_slot[slot]) - 1
        if w.error_type[error] == kind and w.error_value[error] == value:
            return error
        slot = (slot + 1) & last_slot
    error = w.head[N_ERRORS]
    w.error_slot[slot] = error + 1
    w.error_type[error] = kind
    w.error_value[error] = value
    w.head[N_ERRORS] = error + 1
    if 2 * (error + 1) > w.head[ERROR_SLOTS]:
        _grow_error_slots(w)
    return error


@kernel
def _grow_error_slots(w):
    slots = 2 * w.head[ERROR_SLOTS]
    for slot in range(slots):
        w.error_slot[slot] = 0
    for error in range(w.head[N_ERRORS]):
        slot = (np.int64(w.error_type[error]) * 31 + np.int64(w.error_value[error])) & (slots - 1)
        while w.error_slot[slot]:
            slot = (slot + 1) & (slots - 1)
        w.error_slot[slot] = error + 1
    w.head[ERROR_SLOTS] = slots


@kernel
def note_errors(w):
    """Note the errors that came from Python, and the names that they belong to."""
    n = w.head[N_ASKED_ERRORS]
    for error in range(n):
        intern_error(w, np.int64(w.asked_text[2 * error]), np.int64(w.asked_text[2 * error + 1]))
    for k in range(2 * n, w.head[N_ASKED]):
        name = name_of_text(w, np.int64(w.asked_text[k]))
        w.name_error[name] = w.asked_error[k - 2 * n] + 1
