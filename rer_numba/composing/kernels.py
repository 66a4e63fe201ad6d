"""The entry of the kernels that put tables together: one step of it, for one part or for all.

`p` is always the bundle of a part, `q` and `b` its two sets (the same one twice if it has one), `w` the bundle of work
arrays, `o` that of the columns that are made, `r` and `s` their two sets. See `rer_numba.composing.state`; nothing here
raises or allocates. `rer_numba.compose` takes the steps.
"""

from __future__ import annotations

from collections import namedtuple

from rer_numba._jit import export_ir as _export_ir
from rer_numba._jit import kernel
from rer_numba.composing.arranging import arrange
from rer_numba.composing.ending import number_errors, number_texts, write_errors, write_texts, write_versions
from rer_numba.composing.folders import arrange_folders, gather_folders, write_folders
from rer_numba.composing.marking import add_versions, forget_versions, mark_part, number_ranges, rank_versions
from rer_numba.composing.requiring import (
    count_mentions,
    write_mentions,
    write_ranges,
    write_requirement_masks,
    write_requirements,
)
from rer_numba.composing.select import (
    allow_names,
    choose_candidates,
    count_candidates,
    follow,
    gather_candidates,
    note_listed,
    rank_candidates,
    select_all,
    select_asked,
)
from rer_numba.composing.state import (
    ALLOW,
    ARRANGE,
    ARRANGE_FOLDERS,
    CHOOSE,
    COUNT,
    COUNT_MENTIONS,
    COUNT_TEXTS,
    FOLLOW,
    GATHER,
    GATHER_FOLDERS,
    INTERN,
    IS_BUILDING,
    MARK,
    N_RANGES,
    NOTE_ERRORS,
    NOTE_LISTED,
    NUMBER_ERRORS,
    NUMBER_RANGES,
    OUT_DTYPES,
    OUT_FIELDS,
    OUT_SET_DTYPES,
    OUT_SET_FIELDS,
    PART_DTYPES,
    PART_FIELDS,
    RANK_CANDIDATES,
    RANK_VERSIONS,
    SELECT,
    SELECT_ALL,
    SET_DTYPES,
    SET_FIELDS,
    STEP,
    WORK,
    WORK_DTYPES,
    WRITE,
    WRITE_FAMILIES,
    WRITE_FOLDERS,
    WRITE_MENTIONS,
    WRITE_REQUIREMENT_MASKS,
    WRITE_REQUIREMENTS,
    WRITE_TEXTS,
    WRITE_VERSIONS,
)
from rer_numba.composing.texts import intern_asked, note_errors
from rer_numba.composing.writing import end_offsets, write_families, write_part

Part = namedtuple("Part", [name for name, _ in PART_FIELDS])  # type: ignore[misc]
PartSet = namedtuple("PartSet", [name for name, _ in SET_FIELDS])  # type: ignore[misc]
Work = namedtuple("Work", [field.name for field in WORK])  # type: ignore[misc]
Out = namedtuple("Out", [name for name, _ in OUT_FIELDS])  # type: ignore[misc]
OutSet = namedtuple("OutSet", [name for name, _ in OUT_SET_FIELDS])  # type: ignore[misc]


@kernel
def enter(p, q, b, w, o, r, s):
    """Take the step that the head asks for. Returns 0."""
    step = w.head[STEP]
    if step < ARRANGE:
        _take_early_step(p, q, b, w, step)
    else:
        _take_late_step(p, q, b, w, o, r, s, step)
    return 0


@kernel
def _take_early_step(p, q, b, w, step):
    """Up to what is used."""
    if step == INTERN:
        intern_asked(w)
    elif step == ALLOW:
        allow_names(p, w)
    elif step == NOTE_ERRORS:
        note_errors(w)
    elif step == NOTE_LISTED:
        note_listed(w)
    elif step == SELECT_ALL:
        select_all(p, w)
    elif step == SELECT:
        select_asked(w)
    elif step == FOLLOW:
        follow(p, q, b, w)
    elif step == COUNT:
        count_candidates(w)
        forget_versions(w)
    elif step == GATHER:
        gather_candidates(p, q, b, w)
        add_versions(p, w)
    elif step == RANK_VERSIONS:
        rank_versions(w)
        forget_versions(w)
    elif step == RANK_CANDIDATES:
        rank_candidates(p, w)
    elif step == CHOOSE:
        choose_candidates(w)
    elif step == MARK:
        mark_part(p, q, b, w)
    elif step == NUMBER_RANGES:
        number_ranges(p, w)


@kernel
def _take_late_step(p, q, b, w, o, r, s, step):
    """From the order of everything to the columns."""
    if step == ARRANGE:
        arrange(w)
    elif step == WRITE_FAMILIES:
        write_families(w, o)
        write_ranges(w, o, w.head[N_RANGES])
        end_offsets(w, r, s)
    elif step == WRITE:
        write_part(p, q, b, w, o, r, s)
    elif step == WRITE_REQUIREMENTS:
        write_requirements(w, o)
    elif step == WRITE_REQUIREMENT_MASKS:
        write_requirement_masks(w, o)
    elif step == COUNT_MENTIONS:
        if w.head[IS_BUILDING]:
            count_mentions(w, o, s)
        else:
            count_mentions(w, o, r)
    elif step == WRITE_MENTIONS:
        if w.head[IS_BUILDING]:
            write_mentions(w, o, s)
        else:
            write_mentions(w, o, r)
    elif step == WRITE_VERSIONS:
        write_versions(w, o)
    elif step == NUMBER_ERRORS:
        number_errors(w, o, r, s)
    elif step == COUNT_TEXTS:
        write_errors(w, o)
        number_texts(w, o)
    elif step == WRITE_TEXTS:
        write_texts(w, o)
    elif step == GATHER_FOLDERS:
        gather_folders(p, w)
    elif step == ARRANGE_FOLDERS:
        arrange_folders(w)
    elif step == WRITE_FOLDERS:
        write_folders(w, o)


def export_ir() -> tuple[str, str]:
    """The LLVM IR of `enter` behind one table of addresses, and the name of its C function."""
    part_set, out_set = (PartSet, SET_DTYPES), (OutSet, OUT_SET_DTYPES)
    return _export_ir(
        enter, (Part, PART_DTYPES), part_set, part_set, (Work, WORK_DTYPES), (Out, OUT_DTYPES), out_set, out_set
    )
