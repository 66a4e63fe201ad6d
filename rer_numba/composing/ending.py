"""Columns of versions, errors and texts: what is used gets its final number, in the order in which columns name it."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.state import (
    BUILDING_DIFFERS,
    N_ERRORS,
    N_FAMILIES,
    N_PACKAGES,
    N_REQUIREMENTS,
    N_TEXTS,
    N_USED_ERRORS,
    N_USED_TEXT_BYTES,
    N_USED_TEXTS,
    N_VARIANTS,
    N_VERSIONS,
)
from rer_numba.composing.texts import intern_text
from rer_numba.composing.writing import is_odd, is_word

_DOT = 46


# --- versions


@kernel
def write_versions(w, o):
    """Columns of versions."""
    end = np.int64(0)
    for rank in range(w.head[N_VERSIONS]):
        entry = np.int64(w.version_entry[rank])
        o.version_key_offsets[rank] = end
        for k in range(w.version_start[entry], w.version_start[entry + 1]):
            o.version_key[end] = w.key_bytes[k]
            end += 1
        text = np.int64(w.version_text[entry])
        if w.version_spelled[rank]:
            text = np.int64(w.version_spelled[rank]) - 1
        elif is_odd(w, text):
            text = _with_dots(w, text)
        o.version_text[rank] = text
    o.version_key_offsets[w.head[N_VERSIONS]] = end


@kernel
def _with_dots(w, text):
    """The number of a text with dots in the place of all separators."""
    start = w.text_start[text]
    length = w.text_start[text + 1] - start
    end = w.text_start[w.head[N_TEXTS]]
    for k in range(length):
        byte = np.int64(w.text_bytes[start + k])
        w.text_bytes[end + k] = byte if is_word(byte) else np.int64(_DOT)
    return intern_text(w, length)


# --- errors


@kernel
def number_errors(w, o, r, s):
    """Final numbers for the errors in the columns, which are replaced by them."""
    for error in range(w.head[N_ERRORS]):
        w.error_new[error] = 0
    w.head[N_USED_ERRORS] = 0
    for row in range(w.head[N_FAMILIES]):
        o.family_error[row] = _new_error(w, np.int64(o.family_error[row]))
    for row in range(w.head[N_PACKAGES]):
        o.package_error[row] = _new_error(w, np.int64(o.package_error[row]))
    for row in range(w.head[N_PACKAGES]):
        o.package_timestamp_error[row] = _new_error(w, np.int64(o.package_timestamp_error[row]))
    for row in range(w.head[N_VARIANTS]):
        r.variant_error[row] = _new_error(w, np.int64(r.variant_error[row]))
    if w.head[BUILDING_DIFFERS]:
        for row in range(w.head[N_VARIANTS]):
            s.variant_error[row] = _new_error(w, np.int64(s.variant_error[row]))


@inlined
def _new_error(w, error):
    if error < 0:
        return error
    if w.error_new[error] == 0:
        w.error_order[w.head[N_USED_ERRORS]] = error
        w.head[N_USED_ERRORS] += 1
        w.error_new[error] = w.head[N_USED_ERRORS]
    return np.int64(w.error_new[error]) - 1


@kernel
def write_errors(w, o):
    """Columns of errors."""
    for row in range(w.head[N_USED_ERRORS]):
        o.error_type_text[row] = w.error_type[w.error_order[row]]
        o.error_value_text[row] = w.error_value[w.error_order[row]]


# --- texts


@kernel
def number_texts(w, o):
    """Final numbers for the texts in the columns, which are replaced by them."""
    w.head[N_USED_TEXTS] = 0
    w.head[N_USED_TEXT_BYTES] = 0
    for row in range(w.head[N_FAMILIES]):
        o.family_text[row] = _new_text(w, np.int64(o.family_text[row]))
    for row in range(w.head[N_VERSIONS]):
        o.version_text[row] = _new_text(w, np.int64(o.version_text[row]))
    for row in range(w.head[N_REQUIREMENTS]):
        o.requirement_text[row] = _new_text(w, np.int64(o.requirement_text[row]))
    for row in range(w.head[N_PACKAGES]):
        o.package_version_text[row] = _new_text(w, np.int64(o.package_version_text[row]))
    for row in range(w.head[N_PACKAGES]):
        o.package_uri_text[row] = _new_text(w, np.int64(o.package_uri_text[row]))
    for row in range(w.head[N_PACKAGES]):
        o.package_uri_tail_text[row] = _new_text(w, np.int64(o.package_uri_tail_text[row]))
    for row in range(w.head[N_USED_ERRORS]):
        o.error_type_text[row] = _new_text(w, np.int64(o.error_type_text[row]))
    for row in range(w.head[N_USED_ERRORS]):
        o.error_value_text[row] = _new_text(w, np.int64(o.error_value_text[row]))


@inlined
def _new_text(w, text):
    if text < 0:
        return text
    if w.text_new[text] == 0:
        w.text_order[w.head[N_USED_TEXTS]] = text
        w.head[N_USED_TEXTS] += 1
        w.head[N_USED_TEXT_BYTES] += w.text_start[text + 1] - w.text_start[text]
        w.text_new[text] = w.head[N_USED_TEXTS]
    return np.int64(w.text_new[text]) - 1


@kernel
def write_texts(w, o):
    """The texts themselves."""
    end = np.int64(0)
    for row in range(w.head[N_USED_TEXTS]):
        text = np.int64(w.text_order[row])
        o.text_offsets[row] = end
        for k in range(w.text_start[text], w.text_start[text + 1]):
            o.text_bytes[end] = w.text_bytes[k]
            end += 1
    o.text_offsets[w.head[N_USED_TEXTS]] = end
