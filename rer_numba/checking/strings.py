"""Promises about strings: that they are UTF-8, in which order they stand, how they begin."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.checking.state import (
    N_FAMILIES,
    N_PACKAGES,
    N_SOURCE_TEXTS,
    N_TEXTS,
    N_VERSIONS,
    SENTENCE,
    VALUE,
)
from rer_numba.schema import EPHEMERAL, NONE

_DOT = 0x2E
_SLASH = 0x2F
_BACKSLASH = 0x5C


@kernel
def texts(pool, sources, w):
    """Each string is UTF-8, but may hold half characters (lone surrogates), as names of files do."""
    row = _check_pool(pool, w.head[N_TEXTS], w)
    if row == NONE:
        row = _check_pool(sources, w.head[N_SOURCE_TEXTS], w)
        w.head[SENTENCE] += 2
    return row


@kernel
def _check_pool(pool, n, w):
    """The first byte that belongs to no character; or, with another sentence, the first string that begins in one."""
    w.head[SENTENCE] = 0
    length = pool.offsets[n] if n else 0
    at = np.int64(0)
    while at < length:
        size = _character_size(pool, at, length)
        if size == 0:
            return at
        at += size
    w.head[SENTENCE] = 1
    for row in range(1, n):
        start = pool.offsets[row]
        if start < length and pool.bytes[start] & 0xC0 == 0x80:
            return row
    return np.int64(NONE)


@inlined
def _character_size(pool, at, length):
    """How many bytes a character has, 0 if it is none: UTF-8 as Python decodes it with "surrogatepass"."""
    lead = np.int64(pool.bytes[at])
    if lead < 0x80:
        return 1
    size = 2 + (lead >= 0xE0) + (lead >= 0xF0)
    if lead < 0xC2 or lead > 0xF4 or at + size > length:
        return 0
    for k in range(at + 1, at + size):
        if pool.bytes[k] & 0xC0 != 0x80:
            return 0
    second = np.int64(pool.bytes[at + 1])
    # longer than it has to be, or above the last code point
    if (lead == 0xE0 and second < 0xA0) or (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second >= 0x90):
        return 0
    return size


@kernel
def _is_before(pool, a, b):
    """True when string `a` stands before string `b`."""
    start_a = pool.offsets[a]
    start_b = pool.offsets[b]
    length_a = pool.offsets[a + 1] - start_a
    length_b = pool.offsets[b + 1] - start_b
    for k in range(min(length_a, length_b)):
        byte_a = pool.bytes[start_a + k]
        byte_b = pool.bytes[start_b + k]
        if byte_a != byte_b:
            return byte_a < byte_b
    return length_a < length_b


@kernel
def version_keys(keys, w):
    """The versions are in strictly ascending order of their sort keys."""
    for version in range(1, w.head[N_VERSIONS]):
        if not _is_before(keys, version - 1, version):
            return version
    return NONE


@kernel
def family_names(pool, c, w):
    """The families by name are in strictly ascending order of their names."""
    for rank in range(1, w.head[N_FAMILIES]):
        before = np.int64(c.family_text[c.family_by_name[rank - 1]])
        if not _is_before(pool, before, np.int64(c.family_text[c.family_by_name[rank]])):
            return rank
    return NONE


@kernel
def ephemeral(pool, c, w):
    """A family is flagged as ephemeral if and only if its name begins with a dot."""
    for family in range(w.head[N_FAMILIES]):
        is_flagged = c.family_flags[family] & EPHEMERAL != 0
        if (_first_byte(pool, np.int64(c.family_text[family])) == _DOT) != is_flagged:
            return family
    return NONE


@kernel
def uri_tails(pool, c, w):
    """The second part of a uri begins with the separator."""
    for package in range(w.head[N_PACKAGES]):
        text = np.int64(c.package_uri_tail_text[package])
        if text != NONE:
            first = _first_byte(pool, text)
            if first not in (_SLASH, _BACKSLASH):
                w.head[VALUE] = text
                return package
    return NONE


@inlined
def _first_byte(pool, row):
    """The first byte of a string, NONE if it is empty."""
    start = pool.offsets[row]
    return np.int64(pool.bytes[start]) if start < pool.offsets[row + 1] else np.int64(NONE)
