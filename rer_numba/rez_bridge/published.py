"""Encoded repositories that were published for some of rez's package paths.

A repository answers for those of its locations that are among the paths. It is found in the folder ``.rer`` of a path,
which is no family to rez, or through the environment variable ``RER_NUMBA_REPOSITORIES``: files or folders of
generations, separated as in PATH. What cannot be used is reported once, and its paths are read as if it was not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rer_numba.errors import RerError
from rer_numba.generations import BESIDE
from rer_numba.paths.freshness import source_texts
from rer_numba.paths.settings import PathSettings
from rer_numba.repository import Repository
from rer_numba.rez_bridge.pinned import PinnedRepository, pinned
from rer_numba.schema import NONE
from rer_numba.store import METADATA_CHECKSUM
from rer_numba.tell import warn_once

VARIABLE = "RER_NUMBA_REPOSITORIES"

OnUnused = Callable[[str, str], None]
"""Called with the path of a repository that cannot be used, and why not."""


class Published:
    """A repository that answers for some of the paths.

    Parameters
    ----------
    known : PinnedRepository
        What this process knows of it, for any list of paths.
    paths : sequence of int
        Number of the path of each of its locations; NONE for one that is none of the paths.
    """

    def __init__(self, known: PinnedRepository, paths: Sequence[int]) -> None:
        self.known = known
        self.repository = known.repository
        self.paths = tuple(paths)

    @property
    def answers(self) -> set[int]:
        """The paths that it answers for."""
        return {path for path in self.paths if path != NONE}

    @property
    def identity(self) -> str:
        """What tells it from every other content."""
        return self.repository.metadata[METADATA_CHECKSUM]


def _warn(path: str, reason: str) -> None:
    warn_once(f"rer-numba: {path} is not used: {reason}")


def published_for(places: Sequence[Any], settings: PathSettings, on_unused: OnUnused = _warn) -> list[Published]:
    """Find the repositories that answer for some paths.

    Parameters
    ----------
    places : sequence of rez.package_repository.PackageRepository
    settings : PathSettings
        How rez reads folders: a repository that was made otherwise is not used.
    on_unused : callable
        Default: a warning, once in a process.

    Returns
    -------
    list of Published
        The largest first. No two answer for the same path.
    """
    found: list[Published] = []
    taken: set[int] = set()
    for one in sorted(_candidates(places, settings, on_unused), key=lambda one: (-len(one.answers), len(one.paths))):
        if taken.isdisjoint(one.answers):
            taken |= one.answers
            found.append(one)
    return sorted(found, key=lambda one: -len(one.repository.views.package_version_rank))


def _candidates(places: Sequence[Any], settings: PathSettings, on_unused: OnUnused) -> Iterator[Published]:
    locations = [str(place.location) if place.name() == "filesystem" else None for place in places]

    def its_places(repository: Repository) -> list[Any] | None:
        paths = _paths_of(repository, locations)
        return None if paths is None else [None if path == NONE else places[path] for path in paths]

    listed = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    beside = [os.path.join(location, BESIDE) for location in locations if location]
    for path in dict.fromkeys((*listed, *(path for path in beside if os.path.isdir(path)))):
        known = pinned(path, its_places, lambda path=path: _opened(path, on_unused))  # type: ignore[misc]
        paths = None if known is None else _paths_of(known.repository, locations)
        if known is None or paths is None:
            continue
        if _reads_alike(known.repository, settings):
            yield Published(known, paths)
        else:
            on_unused(path, "it was encoded with other settings of rez about reading folders")


def _opened(path: str, on_unused: OnUnused) -> Repository | None:
    try:
        repository = Repository.open(path, check="frozen")
    except (OSError, RerError) as error:
        on_unused(path, str(error))
        return None
    if repository.path_settings is None:
        on_unused(path, "it was not encoded from package folders")
        return None
    return repository


def _paths_of(repository: Repository, locations: Sequence[str | None]) -> list[int] | None:
    """Numbers of the paths of a repository's locations, NONE for one that is none of them.

    None if it cannot answer: no location of it is a path, or they are searched in another order.
    """
    text = source_texts(repository.views)
    numbers = {location: number for number, location in reversed(list(enumerate(locations)))}
    found = [numbers.get(text(row), NONE) for row in repository.views.location_text]
    present = [number for number in found if number != NONE]
    return found if present and present == sorted(set(present)) else None


def _reads_alike(repository: Repository, settings: PathSettings) -> bool:
    own = repository.path_settings
    assert own is not None
    return replace(own, file_lock_dir=None) == replace(settings, file_lock_dir=None)
