"""Encoded repositories that were published for some of rez's package paths, and whether they are still current.

A repository answers for a run of paths that it was encoded from. It is found in the folder ``.rer`` of a path, which is
no family to rez, or through the environment variable ``RER_NUMBA_REPOSITORIES``: files or folders of generations,
separated as in PATH. What cannot be used is told once, and its paths are read as if it was not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rer_numba import storage
from rer_numba.errors import RerError
from rer_numba.partial import Encoded
from rer_numba.paths.freshness import STRICT, Freshness
from rer_numba.paths.guard import Guard
from rer_numba.paths.settings import PathSettings
from rer_numba.progress import tell_nobody
from rer_numba.repository import Repository
from rer_numba.tell import warn_once
from rer_numba.views import Views

VARIABLE = "RER_NUMBA_REPOSITORIES"
FOLDER = ".rer"


class Published:
    """A repository that answers for a run of the paths.

    Parameters
    ----------
    repository : Repository
        Opened without any check of its own: what solves touch is looked at here.
    first : int
        Number of the path of its first location.
    """

    def __init__(self, repository: Repository, first: int) -> None:
        self.repository = repository
        self._use(first)

    def _use(self, first: int) -> None:
        views = self.repository.views
        settings = self.repository.path_settings
        assert settings is not None
        n = len(views.location_text)
        self.paths = range(first, first + n)
        self.encoded = Encoded(views, self.paths)
        self._guard: Guard | None = Guard(views, settings, STRICT, self.repository.paths)
        self._rows: dict[str, dict[str, int]] = {}

    @property
    def views(self) -> Views:
        """Of the repository as it is now."""
        return self.repository.views

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

    def stale_path(self, families: Iterable[str], packages: Iterable[int]) -> str | None:
        """The first path that has changed of what a solve touched. Each is looked at once."""
        return None if self._guard is None else self._guard.stale_path(families, packages)

    def refresh(self) -> None:
        """Read what has changed; save it where that is allowed.

        Raises
        ------
        OSError, RerError
            It cannot be brought up to date.
        """
        storage.refresh(self.repository, "strict", None, None, tell_nobody)
        self._use(self.paths.start)
        self._guard = None  # everything has been looked at


def published_for(locations: Sequence[str | None], settings: PathSettings) -> list[Published]:
    """Find the repositories that answer for some paths.

    Parameters
    ----------
    locations : sequence of str or None
        The paths as rez spells them; None for one that is no folder of packages.
    settings : PathSettings
        How rez reads folders: a repository that was made otherwise is not used.

    Returns
    -------
    list of Published
        The largest first. No two answer for the same path.
    """
    found: list[Published] = []
    taken: set[int] = set()
    for one in sorted(_candidates(locations, settings), key=lambda one: -len(one.paths)):
        if taken.isdisjoint(one.paths):
            taken.update(one.paths)
            found.append(one)
    return sorted(found, key=lambda one: -len(one.views.package_version_rank))


def _candidates(locations: Sequence[str | None], settings: PathSettings) -> Iterator[Published]:
    listed = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    beside = [os.path.join(location, FOLDER) for location in locations if location]
    for path in dict.fromkeys((*listed, *(path for path in beside if os.path.isdir(path)))):
        repository = _opened(path)
        if repository is None:
            continue
        first = _run_of(repository, locations)
        if first is not None and _reads_alike(path, repository, settings):
            yield Published(repository, first)


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
    own = Freshness(repository.views, settings).locations
    starts = range(len(locations) - len(own) + 1 if own else 0)
    return next((start for start in starts if list(locations[start : start + len(own)]) == own), None)


def _reads_alike(path: str, repository: Repository, settings: PathSettings) -> bool:
    own = repository.path_settings
    assert own is not None
    if replace(own, file_lock_dir=None) == replace(settings, file_lock_dir=None):
        return True
    warn_once(f"rer-numba: {path} is not used: it was encoded with other settings of rez about reading folders")
    return False
