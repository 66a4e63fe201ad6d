"""In what state the folders and files were that rez is about to list and read.

rez keeps no states. What it lists can be kept for other processes only with the states that stood before, and only if
it is what the folders say: rez may answer from its caches instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rer_numba.paths.discover import find_family, list_family
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.states import ABSENT, UNSURE, FileState


@dataclass
class Witness:
    """A family on one path, as the folders have it.

    Attributes
    ----------
    folders : list of SourceFolder
        One, or none if the family is not there.
    states : dict
        Version as spelled to the state of its definition file.
    is_sure : bool
        Everything could be looked at, and is what a later look can compare with.
    """

    folders: list[SourceFolder] = field(default_factory=list)
    states: dict[str, FileState] = field(default_factory=dict)
    is_sure: bool = True

    @classmethod
    def of(cls, path: int, place: Any, name: str, settings: PathSettings) -> Witness | None:
        """Look at a family in one of rez's repositories; None if that is no folder of packages.

        Parameters
        ----------
        path : int
            Number of the path.
        place : rez.package_repository.PackageRepository
        """
        if place.name() != "filesystem":
            return None
        family = find_family(str(place.location), name)
        if family is None:
            return cls()
        if family.extension:  # its versions are inside, and rez runs it
            return cls(is_sure=False)
        listing = list_family(family, settings)
        folder = SourceFolder(path, name, "", listing.state, tuple(listing.watched))
        states = {entry.version: entry.state for entry in listing.entries if entry.file is not None}
        is_sure = listing.error is None and listing.state.mtime_ns != UNSURE and len(states) == len(listing.entries)
        return cls([folder], states, is_sure)

    def state(self, version: str) -> FileState | None:
        """The state of a definition file; None if it has none that a later look could compare with."""
        found = self.states.get(version, ABSENT)
        return None if found == ABSENT or found.mtime_ns == UNSURE else found

    def agrees(self, versions: Iterable[str]) -> bool:
        """Return whether rez lists what was seen here, and nothing in it was unsure."""
        return self.is_sure and self.states.keys() == set(versions)
