"""Tables brought up to date: changed families are read again, everything else is kept."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rer_numba.facts import Facts, facts_of_tables
from rer_numba.link import link
from rer_numba.paths.build import places_of, read_all, sources_of
from rer_numba.paths.discover import list_location
from rer_numba.paths.freshness import moved_families
from rer_numba.paths.read import Loader
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.sources import Sources
from rer_numba.progress import OnProgress, tell_nobody
from rer_numba.reader import Reader
from rer_numba.schema import Tables


def read_again(
    tables: Tables,
    names: Iterable[str],
    settings: PathSettings,
    *,
    processes: int | None = None,
    on_progress: OnProgress = tell_nobody,
    loader: Loader | None = None,
) -> Tables:
    """Read some families again.

    Parameters
    ----------
    tables : Tables
        Of packages that were found in folders. They stay as they are.
    names : iterable of str
        Families that have changed. Those that have come or gone since are found here.
    settings : PathSettings
        With which the packages were found.
    loader : Loader, optional
        As for `tables_of_paths`.

    Returns
    -------
    Tables
        The same that encoding everything anew would give, if nothing else has changed.

    Raises
    ------
    OSError
        A location cannot be listed.
    """
    old = Sources.of(tables)
    locations = [list_location(path, settings) for path in old.locations]
    recorded = [
        (folder.location, name, folder.extension) for name, folders in old.folders.items() for folder in folders if name
    ]
    changed = {*names, *moved_families(recorded, dict(enumerate(locations)))}
    found = [name for name in sorted(changed) if any(name in location.families for location in locations)]
    places = places_of(locations, found)
    readings = read_all(places, settings, processes=processes, on_progress=on_progress, loader=loader)
    sources = sources_of(locations, readings)
    for name, folders in old.folders.items():
        if name and name not in changed:
            sources.folders[name] = folders
    return link([_without(tables, changed), *(reading.facts for reading in readings)], sources)


def _without(tables: Tables, names: set[str]) -> Facts:
    """The facts of all other families."""
    reader = Reader(tables)
    stays = np.ones(len(tables.family_text), bool)
    stays[[row for row in map(reader.family, names) if row >= 0]] = False
    family = np.repeat(np.arange(len(stays)), np.diff(tables.family_package_offsets))
    return facts_of_tables(tables, np.flatnonzero(stays[family]), np.flatnonzero(stays))
