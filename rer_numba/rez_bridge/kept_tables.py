"""Composed tables of a site, kept by a command of rez for the commands that follow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rer_numba import composed_file
from rer_numba.partial import Part
from rer_numba.rez_bridge.commands import is_command
from rer_numba.rez_bridge.pinned import Pinned
from rer_numba.rez_bridge.seen import Encoded

if TYPE_CHECKING:
    from rer_numba.paths.settings import PathSettings
    from rer_numba.rez_bridge.published import Published
    from rer_numba.views import Views

_PAUSE = 10.0
"""Seconds between two writings by one process, which may compose new tables for each solve."""


class KeptTables:
    """Where the tables are kept that were composed for some paths.

    Parameters
    ----------
    repositories : sequence of rez.package_repository.PackageRepository
        rez's, of each path.
    settings : PathSettings
    published : sequence of Published
        That answer for some of the paths: another content of one of them, and what was kept is of no use.
    """

    def __init__(self, repositories: Sequence[Any], settings: PathSettings, published: Sequence[Published]) -> None:
        self._repositories = repositories
        self._settings = settings
        # an application may come to the same packages by other paths later, and must then find them as rez knows them
        self._may_keep = is_command() and all(place.name() == "filesystem" for place in repositories)
        self._progress = -1
        self._written = -_PAUSE
        self._name = composed_file.name_of(
            {
                "locations": [str(place.location) for place in repositories],
                "settings": settings.to_json(),
                "published": [[one.identity, list(one.paths)] for one in published],
            }
        )

    def part(self) -> Part | None:
        """What another process has kept: tables for all paths, of the families that solves have reached."""
        found = composed_file.read(self._name) if self._may_keep else None
        if found is None:
            return None
        places = self._repositories
        return Part(found.views, range(len(places)), Pinned(Encoded(found.views, self._settings), places))

    def may_keep(self, progress: int) -> bool:
        """Return whether it is time to keep tables again that have come so far."""
        if not self._may_keep or progress == self._progress:
            return False
        return time.monotonic() - self._written >= _PAUSE

    def keep(self, views: Views, progress: int) -> None:
        """Keep tables. Where that is not possible the next process composes them anew."""
        self._written, self._progress = time.monotonic(), progress
        composed_file.write(self._name, views, {})
