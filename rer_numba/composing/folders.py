"""Columns that tell whether what was read is still so: locations, folders and watched paths."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.select import compare_source, find_folders, may_take
from rer_numba.composing.sorting import sort_rows
from rer_numba.composing.state import (
    BY_FOLDER,
    FOLDERS,
    LOCATIONS,
    N_FOLDER_ENTRIES,
    N_FOLDERS,
    N_LOCATIONS,
    N_QUEUE,
    N_SOURCE_BYTES,
    N_USED_SOURCE_TEXTS,
    N_WATCH_ENTRIES,
    N_WATCHES,
    PART,
    SELECTS_ALL,
)
from rer_numba.composing.texts import intern_text, source_text_of
from rer_numba.schema import NONE

_UNSURE = -2
"""A time of change that nothing has, see `rer_numba.paths.states`."""


# --- gathering


@kernel
def gather_folders(p, w):
    """Add the folders of a part: its locations, and those of the names that are taken."""
    for row in range(p.about[LOCATIONS]):
        path = p.paths[row]
        if path != NONE and w.location_folder[path] == 0:
            w.location_folder[path] = _add_folder(p, w, np.int64(row)) + 1
    if w.head[SELECTS_ALL]:
        for row in range(p.about[LOCATIONS], p.about[FOLDERS]):
            text = source_text_of(p, w, np.int64(p.folder_name_text[row]))
            if may_take(p, w, np.int64(w.text_name[text]) - 1):
                _put_in_order(w, _add_folder(p, w, np.int64(row)))
        return
    for k in range(w.head[N_QUEUE]):
        name = np.int64(w.queue[k])
        if may_take(p, w, name):
            text = np.int64(w.name_text[name])
            row = find_folders(p, w, text)
            while row < p.about[FOLDERS] and compare_source(p, w, np.int64(p.folder_name_text[row]), text) == 0:
                _put_in_order(w, _add_folder(p, w, row))
                row += 1


@inlined
def _put_in_order(w, entry):
    w.folder_order[w.head[N_FOLDERS]] = entry
    w.head[N_FOLDERS] += 1


@kernel
def _add_folder(p, w, row):
    entry = w.head[N_FOLDER_ENTRIES]
    w.head[N_FOLDER_ENTRIES] = entry + 1
    w.folder_name[entry] = source_text_of(p, w, np.int64(p.folder_name_text[row]))
    w.folder_extension[entry] = source_text_of(p, w, np.int64(p.folder_extension_text[row]))
    w.folder_path[entry] = p.paths[p.folder_location[row]]
    w.folder_part[entry] = p.about[PART]
    w.folder_state[4 * entry] = p.folder_inode[row]
    w.folder_state[4 * entry + 1] = p.folder_mtime[row]
    w.folder_state[4 * entry + 2] = p.folder_size[row]
    w.folder_state[4 * entry + 3] = p.folder_ctime[row]
    for k in range(p.folder_watch_offsets[row], p.folder_watch_offsets[row + 1]):
        watch = w.head[N_WATCH_ENTRIES]
        w.head[N_WATCH_ENTRIES] = watch + 1
        w.watch_text[watch] = source_text_of(p, w, np.int64(p.watch_text[k]))
        w.watch_state[4 * watch] = p.watch_inode[k]
        w.watch_state[4 * watch + 1] = p.watch_mtime[k]
        w.watch_state[4 * watch + 2] = p.watch_size[k]
        w.watch_state[4 * watch + 3] = p.watch_ctime[k]
    w.folder_watch[entry + 1] = w.head[N_WATCH_ENTRIES]
    return entry


# --- arranging


@kernel
def arrange_folders(w):
    """Sort the folders by name and path behind the locations, and number their texts."""
    n = w.head[N_FOLDERS]
    for k in range(n):
        w.order[k] = w.folder_order[k]
    sort_rows(w, np.int64(BY_FOLDER), np.int64(0), n)
    for path in range(w.head[N_LOCATIONS]):
        if w.location_folder[path] == 0:
            w.location_folder[path] = _unknown_location(w, np.int64(path)) + 1
        w.folder_order[path] = w.location_folder[path] - 1
    found = w.head[N_LOCATIONS]
    for k in range(n):
        entry = np.int64(w.order[k])
        if k == 0 or not _is_hidden(w, np.int64(w.folder_order[found - 1]), entry):
            w.folder_order[found] = entry
            found += 1
    w.head[N_FOLDERS] = found
    _number_source_texts(w)


@kernel
def _unknown_location(w, path):
    """A folder for a location that no part says anything about: nothing can be told from it."""
    entry = w.head[N_FOLDER_ENTRIES]
    w.head[N_FOLDER_ENTRIES] = entry + 1
    empty = intern_text(w, np.int64(0))
    w.folder_name[entry] = empty
    w.folder_extension[entry] = empty
    w.folder_path[entry] = path
    w.folder_part[entry] = NONE
    w.folder_state[4 * entry] = NONE
    w.folder_state[4 * entry + 1] = _UNSURE
    w.folder_state[4 * entry + 2] = NONE
    w.folder_state[4 * entry + 3] = NONE
    w.folder_watch[entry + 1] = w.head[N_WATCH_ENTRIES]
    return entry


@inlined
def _is_hidden(w, before, entry):
    """True for the folder of a family and a path about which an earlier part has said something."""
    return (
        w.folder_name[before] == w.folder_name[entry]
        and w.folder_path[before] == w.folder_path[entry]
        and w.folder_part[before] != w.folder_part[entry]
    )


@kernel
def _number_source_texts(w):
    """In the order in which the columns name them."""
    n = w.head[N_FOLDERS]
    watches = np.int64(0)
    for path in range(w.head[N_LOCATIONS]):
        _note_source_text(w, np.int64(w.location_text[path]))
    for k in range(n):
        _note_source_text(w, np.int64(w.folder_name[w.folder_order[k]]))
    for k in range(n):
        _note_source_text(w, np.int64(w.folder_extension[w.folder_order[k]]))
    for k in range(n):
        entry = np.int64(w.folder_order[k])
        for watch in range(w.folder_watch[entry], w.folder_watch[entry + 1]):
            _note_source_text(w, np.int64(w.watch_text[watch]))
            watches += 1
    w.head[N_WATCHES] = watches


@kernel
def _note_source_text(w, text):
    if w.source_new[text] == 0:
        w.source_order[w.head[N_USED_SOURCE_TEXTS]] = text
        w.head[N_USED_SOURCE_TEXTS] += 1
        w.head[N_SOURCE_BYTES] += w.text_start[text + 1] - w.text_start[text]
        w.source_new[text] = w.head[N_USED_SOURCE_TEXTS]


# --- writing


@kernel
def write_folders(w, o):
    """The columns."""
    for path in range(w.head[N_LOCATIONS]):
        o.location_text[path] = w.source_new[w.location_text[path]] - 1
    watches = np.int64(0)
    for k in range(w.head[N_FOLDERS]):
        entry = np.int64(w.folder_order[k])
        o.folder_location[k] = w.folder_path[entry]
        o.folder_name_text[k] = w.source_new[w.folder_name[entry]] - 1
        o.folder_extension_text[k] = w.source_new[w.folder_extension[entry]] - 1
        o.folder_inode[k] = w.folder_state[4 * entry]
        o.folder_mtime[k] = w.folder_state[4 * entry + 1]
        o.folder_size[k] = w.folder_state[4 * entry + 2]
        o.folder_ctime[k] = w.folder_state[4 * entry + 3]
        o.folder_watch_offsets[k] = watches
        for watch in range(w.folder_watch[entry], w.folder_watch[entry + 1]):
            o.watch_text[watches] = w.source_new[w.watch_text[watch]] - 1
            o.watch_inode[watches] = w.watch_state[4 * watch]
            o.watch_mtime[watches] = w.watch_state[4 * watch + 1]
            o.watch_size[watches] = w.watch_state[4 * watch + 2]
            o.watch_ctime[watches] = w.watch_state[4 * watch + 3]
            watches += 1
    o.folder_watch_offsets[w.head[N_FOLDERS]] = watches
    _write_source_texts(w, o)


@kernel
def _write_source_texts(w, o):
    end = np.int64(0)
    for row in range(w.head[N_USED_SOURCE_TEXTS]):
        text = np.int64(w.source_order[row])
        o.source_text_offsets[row] = end
        for k in range(w.text_start[text], w.text_start[text + 1]):
            o.source_text_bytes[end] = w.text_bytes[k]
            end += 1
    o.source_text_offsets[w.head[N_USED_SOURCE_TEXTS]] = end
