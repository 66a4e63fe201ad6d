"""From package paths to tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rer_numba.link import link
from rer_numba.paths.discover import Location, canonical_location, list_location
from rer_numba.paths.loaders import find_loader
from rer_numba.paths.read import FamilyPlaces, Loader, Place, Reading, read_families
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.sources import Sources
from rer_numba.paths.workers import process_count, read_in_processes
from rer_numba.progress import OnProgress, tell_nobody
from rer_numba.schema import Tables


def tables_of_paths(
    paths: Sequence[str | os.PathLike[str]],
    settings: PathSettings,
    *,
    processes: int | None = None,
    on_progress: OnProgress = tell_nobody,
    loader: Loader | None = None,
) -> Tables:
    """Read all packages on some paths and encode them.

    Parameters
    ----------
    paths : sequence of path
        In the order in which they are searched. One that does not exist is empty, as in rez.
    settings : PathSettings
    processes : int, optional
        How many processes read; default: as many as there are processors, and as pays.
    on_progress : callable, optional
    loader : Loader, optional
        For what is not plain; default: `find_loader`.

    Raises
    ------
    ConfigurationError
        A path belongs to another kind of repository.
    OSError
        A path cannot be listed.
    """
    locations = [list_location(path, settings) for path in distinct_locations(paths)]
    readings = read_all(places_of(locations), settings, processes=processes, on_progress=on_progress, loader=loader)
    on_progress("linking", 0, 1)
    return link([reading.facts for reading in readings], sources_of(locations, readings))


def distinct_locations(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The paths without those that lead to a place that has come before."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(canonical_location(os.fspath(path)), os.fspath(path))
    return list(found.values())


def places_of(locations: Sequence[Location], names: Iterable[str] | None = None) -> list[FamilyPlaces]:
    """The families of some locations, and where each is found.

    Parameters
    ----------
    names : iterable of str, optional
        Only these.
    """
    wanted = dict.fromkeys(name for location in locations for name in location.families) if names is None else names
    return [
        FamilyPlaces(
            name,
            tuple(
                Place(number, location.path, location.families[name])
                for number, location in enumerate(locations)
                if name in location.families
            ),
        )
        for name in wanted
    ]


def read_all(
    families: Sequence[FamilyPlaces],
    settings: PathSettings,
    *,
    processes: int | None = None,
    on_progress: OnProgress = tell_nobody,
    loader: Loader | None = None,
) -> list[Reading]:
    """Read families, by several processes if there are many, and then by rez what only rez can read."""
    total = len(families)
    count = process_count(processes, total)
    readings = read_in_processes(families, settings, count, lambda done: on_progress("reading families", done, total))
    unread = [one for reading in readings for one in reading.unread]
    loader = loader or find_loader()
    for done, one in enumerate(unread):
        on_progress("reading families with rez", done, len(unread))
        readings.append(read_families([one], settings, loader))
    return readings


def sources_of(locations: Sequence[Location], readings: Iterable[Reading]) -> Sources:
    """What was looked at."""
    sources = Sources([location.path for location in locations])
    for number, location in enumerate(locations):
        sources.add(SourceFolder(number, "", "", location.state, tuple(location.watched)))
    for reading in readings:
        for folder in reading.folders:
            sources.add(folder)
    return sources
