"""Encoded repositories that were published for some of rez's package paths, and whether they are still current.

A repository answers for a run of paths that it was encoded from. It is found in the folder ``.rer`` of a path, which is
no family to rez, or through the environment variable ``RER_NUMBA_REPOSITORIES``: files or folders of generations,
separated as in PATH. What cannot be used is told once, and its paths are read as if it was not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rer_numba.errors import RerError
from rer_numba.partial import Encoded
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.settings import PathSettings
from rer_numba.reader import Reader
from rer_numba.repository import Repository
from rer_numba.rez_bridge.pinned import Pinned, pinned
from rer_numba.tell import warn_once
from rer_numba.views import Views

VARIABLE = "RER_NUMBA_REPOSITORIES"
FOLDER = ".rer"


class Published:
    """A repository that answers for a run of the paths.

    Parameters
    ----------
    known : Pinned
        What this process knows of it, for any list of paths.
    first : int
        Number of the path of its first location.
    """

    def __init__(self, known: Pinned, first: int) -> None:
        self.known = known
        self.repository = known.repository
        self.views: Views = known.repository.views
        self.paths = range(first, first + len(self.views.location_text))
        self.encoded = Encoded(self.views, self.paths, known)
        self.reader = Reader(self.views)
        self._rows: dict[str, dict[str, int]] = {}

    def row(self, name: str, version: str) -> int | None:
        """The package of a name and a spelling of a version."""
        rows = self._rows.get(name)
        if rows is None:
            rows = self._rows[name] = dict(self._versions(name))
        return rows.get(version)

    def _versions(self, name: str) -> Iterator[tuple[str, int]]:
        lookup = self.encoded.lookup
        family = lookup.family(name)
        if family >= 0:
            for row in range(*self.views.family_package_offsets[family : family + 2]):
                yield lookup.text(self.views.package_version_text[row]), row


def published_for(places: Sequence[Any], settings: PathSettings) -> list[Published]:
    """Find the repositories that answer for some paths.

    Parameters
    ----------
    places : sequence of rez.package_repository.PackageRepository
    settings : PathSettings
        How rez reads folders: a repository that was made otherwise is not used.

    Returns
    -------
    list of Published
        The largest first. No two answer for the same path.
    """
    found: list[Published] = []
    taken: set[int] = set()
    for one in sorted(_candidates(places, settings), key=lambda one: -len(one.paths)):
        if taken.isdisjoint(one.paths):
            taken.update(one.paths)
            found.append(one)
    return sorted(found, key=lambda one: -len(one.views.package_version_rank))


def _candidates(places: Sequence[Any], settings: PathSettings) -> Iterator[Published]:
    locations = [str(place.location) if place.name() == "filesystem" else None for place in places]

    def its_places(repository: Repository) -> Sequence[Any] | None:
        first = _run_of(repository, locations)
        return None if first is None else places[first : first + len(repository.views.location_text)]

    listed = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    beside = [os.path.join(location, FOLDER) for location in locations if location]
    for path in dict.fromkeys((*listed, *(path for path in beside if os.path.isdir(path)))):
        known = pinned(path, its_places, lambda path=path: _opened(path))  # type: ignore[misc]
        if known is None:
            continue
        first = _run_of(known.repository, locations)
        if first is not None and _reads_alike(path, known.repository, settings):
            yield Published(known, first)


def _opened(path: str) -> Repository | None:
    try:
        repository = Repository.open(path, check="frozen")
    except (OSError, RerError) as error:
        warn_once(f"rer-numba: {path} is not used: {error}")
        return None
    return repository if repository.path_settings is not None else None


def _run_of(repository: Repository, locations: Sequence[str | None]) -> int | None:
    """Where the repository's locations stand among the paths, one after the other."""
    settings = repository.path_settings
    assert settings is not None
    freshness = Freshness(repository.views, settings)
    own = freshness.locations
    if freshness.other_location(repository.paths) is not None:
        return None
    starts = range(len(locations) - len(own) + 1 if own else 0)
    return next((start for start in starts if list(locations[start : start + len(own)]) == own), None)


def _reads_alike(path: str, repository: Repository, settings: PathSettings) -> bool:
    own = repository.path_settings
    assert own is not None
    if replace(own, file_lock_dir=None) == replace(settings, file_lock_dir=None):
        return True
    warn_once(f"rer-numba: {path} is not used: it was encoded with other settings of rez about reading folders")
    return False
