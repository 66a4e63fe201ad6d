"""Who reads the definition files that are not plain: rez, or nobody."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from rer_numba.errors import NeedsRezError
from rer_numba.packages import BrokenValue, PackageData

if TYPE_CHECKING:
    from rer_numba.paths.discover import Entry
    from rer_numba.paths.read import Loader, Place
    from rer_numba.paths.settings import PathSettings


def find_loader() -> Loader:
    """Give rez's loader if rez is installed."""
    return RezLoader() if find_spec("rez") else NoLoader()


class RezLoader:
    """Asks rez, which runs the file. rez is imported for the first one: 0.3 s. One that is too old is as none."""

    def package(self, place: Place, entry: Entry, reason: str) -> PackageData:
        """Read one package."""
        without = _without_rez()
        if without is not None:
            return without.package(place, entry, reason)
        from rer_numba.rez_bridge.load import load_package

        name = place.family.name
        return load_package(place.path, name, entry.version, entry.folder, entry.file, entry.extension)

    def combined(self, place: Place, settings: PathSettings) -> list[PackageData] | BrokenValue:
        """Read all packages of a combined file."""
        without = _without_rez()
        if without is not None:
            return without.combined(place, settings)
        from rer_numba.rez_bridge.load import load_combined

        family = place.family
        allow_unversioned = settings.allow_unversioned_packages
        return load_combined(place.path, family.name, family.extension, allow_unversioned=allow_unversioned)


class NoLoader:
    """Says that rez is needed.

    Parameters
    ----------
    remedy : str
        What to do about it.
    """

    def __init__(self, remedy: str = NeedsRezError.remedy) -> None:
        self._remedy = remedy

    def package(self, place: Place, entry: Entry, reason: str) -> PackageData:
        """Give a package that cannot be used."""
        broken = self._needs_rez(entry.file or entry.folder, reason)
        return PackageData.unreadable(place.family.name, entry.version, broken, entry.file)

    def combined(self, place: Place, settings: PathSettings) -> BrokenValue:  # noqa: ARG002 - rez would heed them
        """Give what listing the family raises."""
        return self._needs_rez(place.family.path, "it holds all versions of a package")

    def _needs_rez(self, path: str, reason: str) -> BrokenValue:
        return BrokenValue(NeedsRezError.__name__, str(NeedsRezError(path, reason, self._remedy)))


def _without_rez() -> NoLoader | None:
    """Who reads where rez is too old to be asked."""
    from rer_numba.rez_bridge.presence import remedy

    found = remedy()
    return None if found is None else NoLoader(found)
