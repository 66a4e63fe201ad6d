"""Below which paths package definitions may be run.

An encoded repository names the folders that its packages came from. Whoever solves from it with the default check reads
those folders, and has rez run the definitions there that are not plain; a late requirement is run with every check but
``frozen``. So who can write a repository file, or makes somebody open one, can have code run, if he can also put a file
where that user reads it. `Repository.open(..., trust=...)` says whose code that may be.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from rer_numba.errors import ConfigurationError, UntrustedPathError
from rer_numba.packages import BrokenValue, PackageData

if TYPE_CHECKING:
    from rer_numba.paths.discover import Entry
    from rer_numba.paths.read import Loader, Place
    from rer_numba.paths.settings import PathSettings

Given: TypeAlias = "Literal['file', 'rez'] | Sequence[str | os.PathLike[str]] | None"
"""What a user says: the paths that the file names, those of rez's configuration, or these."""


@dataclass(frozen=True)
class Trust:
    """Says whether the definitions at a location may be run.

    Attributes
    ----------
    kind : {"file", "rez", "paths", "frozen"}
    paths : tuple of str
        For the kind "paths".
    """

    kind: str
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Given, check: str) -> Trust:
        """Read what a user says. Nothing said: the file, unless it is opened to be solved from as it is.

        Raises
        ------
        ValueError, TypeError
            It is none of what it can be.
        """
        if given is None:
            return FROZEN if check == "frozen" else FILE
        if isinstance(given, str):
            if given not in ("file", "rez"):
                raise ValueError(f"trust must be 'file', 'rez' or a list of paths, not {given!r}")
            return cls(given)
        if isinstance(given, (bytes, os.PathLike)):
            raise TypeError(f"trust must be a list of paths, not {given!r}")
        paths = tuple(os.fspath(path) for path in given)
        if not all(paths):  # a variable that is not set must not mean the current folder
            raise ValueError("the name of a trusted path is empty")
        return cls("paths", paths)

    def allows(self, location: str) -> bool:
        """Tell whether definitions at a location may be run: it is one of the trusted paths, or lies below one."""
        if self.kind == "file":
            return True
        from rer_numba.paths.discover import canonical_location  # most processes never ask

        try:
            place = canonical_location(location)
            return any(_is_below(place, canonical_location(path)) for path in self._trusted())
        except ConfigurationError:  # another kind of repository, which is not read here
            return False

    def _trusted(self) -> Sequence[str]:
        if self.kind != "rez":
            return self.paths
        from rer_numba.rez_bridge.configured import packages_path_from_rez

        return [path for path in packages_path_from_rez() if "@" not in path]

    def require(self, locations: Sequence[str], reason: str) -> None:
        """Raise UntrustedPathError for the first of some locations that is not trusted; `reason` is what would run."""
        for location in locations:
            if not self.allows(location):
                raise UntrustedPathError(location, reason)


FILE: Final = Trust("file")
FROZEN: Final = Trust("frozen")
"""Nothing runs in a solve. Who asks for a refresh trusts the file."""


def _is_below(place: str, path: str) -> bool:
    return place == path or place.startswith(os.path.join(path, ""))


class TrustedLoader:
    """A loader that runs what is trusted, and gives packages that cannot be used for all else.

    Attributes
    ----------
    refused : bool
        Something was not run. What was read is for this process only: others may trust more.
    """

    def __init__(self, loader: Loader, trust: Trust) -> None:
        self._loader = loader
        self._trust = trust
        self.refused = False

    def package(self, place: Place, entry: Entry, reason: str) -> PackageData:
        """Read one package."""
        if self._trust.allows(place.path):
            return self._loader.package(place, entry, reason)
        broken = self._refuse(entry.file or entry.folder, reason)
        return PackageData.unreadable(place.family.name, entry.version, broken, entry.file)

    def combined(self, place: Place, settings: PathSettings) -> Any:
        """Read all packages of a combined file."""
        if self._trust.allows(place.path):
            return self._loader.combined(place, settings)
        return self._refuse(place.family.path, "it holds all versions of a package")

    def _refuse(self, path: str, reason: str) -> BrokenValue:
        self.refused = True
        return BrokenValue.of(UntrustedPathError(path, reason))
