"""Interim: composition by `link`, to be replaced by compiled code."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rer_numba.facts import facts_of_tables
from rer_numba.link import link
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.sources import Sources
from rer_numba.paths.states import UNSURE, FileState
from rer_numba.schema import NONE
from rer_numba.views import Views, tables_of, views_of


class Composed(NamedTuple):
    views: Views
    unlisted: set[str]


def compose(
    parts: Any,
    draft: Any,
    *,
    roots: Any,
    left_out: Any,
    locations: Any,
    folders: Any,
    family_errors: Any,
    mark: Any,
    listed: Any,
) -> Composed:
    from rer_numba.partial import PATH_SHIFT

    facts = draft.facts()
    own = facts
    if left_out:
        from rer_numba.facts import Facts, offsets_of, rows_of
        from rer_numba.selection import _picked

        stays = np.array([name not in left_out for name in facts.names], bool)
        rows = np.flatnonzero(stays[facts.packages["name"]]) if len(stays) else np.zeros(0, np.int64)
        starts = offsets_of(facts.packages["variants"])
        variants = rows_of(starts[rows], facts.packages["variants"][rows])
        own = Facts(
            **{
                **vars(facts),
                "packages": {fact: column[rows] for fact, column in facts.packages.items()},
                "requires": _picked(facts.requires, variants),
                "building": _picked(facts.building, variants),
                "family_errors": dict(facts.family_errors),
            }
        )
    all_parts = [own]
    sources = Sources(list(locations))
    unsure = FileState(0, UNSURE, 0)
    at = {}
    names = {*own.names}
    if left_out:
        family_errors = {**family_errors, **dict.fromkeys(left_out, mark)}
    for part in parts:
        tables = tables_of(part.views)
        keep = [part.lookup.family_name(row) for row in range(len(tables.family_text))]
        rows = np.array([row for row, name in enumerate(keep) if part.family(name) >= 0], np.int64)
        wanted = np.zeros(len(keep), bool)
        wanted[rows] = True
        of_package = np.repeat(np.arange(len(wanted)), np.diff(tables.family_package_offsets))
        found = facts_of_tables(tables, np.flatnonzero(wanted[of_package]), rows)
        path = np.array([*part.paths, NONE], np.int64)[found.packages["location"]]
        found.packages["location"] = path
        found.packages["given"] = (path << PATH_SHIFT) + 2 * found.packages["given"]
        all_parts.append(found)
        names.update(keep[row] for row in range(len(keep)))
        old = Sources.of(tables)
        for name, of in old.folders.items():
            for one in of:
                if one.location >= 0 and part.paths[one.location] != NONE:
                    if name and part.family(name) < 0:
                        continue
                    moved = SourceFolder(part.paths[one.location], name, one.extension, one.state, one.watched)
                    if name:
                        sources.add(moved)
                    else:
                        at.setdefault(moved.location, moved)
    for number in range(len(locations)):
        sources.add(at.get(number) or SourceFolder(number, "", "", unsure))
    for folder in folders:
        sources.add(folder)
    for name in sources.folders:
        sources.folders[name].sort(key=lambda one: one.location)
    unlisted = set()
    if mark is not None:
        has = {name for part in parts for name in names if part.has(name)}
        unlisted = {name for name in names if not name.startswith(".") and name not in listed and name not in has}
    own.family_errors = {**dict.fromkeys(unlisted, mark), **family_errors}
    return Composed(views_of(link(all_parts, sources)), unlisted)
