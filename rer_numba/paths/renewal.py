"""A few families read again, in the tables of a process that solves: without numpy, and without a look at the others.

`rer_numba.paths.refresh` makes of the same what encoding everything anew would give, for the file.
"""

from __future__ import annotations

from collections.abc import Iterable

from rer_numba.compose import DraftPart, TablesPart, compose
from rer_numba.draft import FactsDraft
from rer_numba.paths.discover import find_family, require_reachable
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.read import FamilyPlaces, Loader, Place, read_into
from rer_numba.paths.settings import PathSettings
from rer_numba.views import Views


def renewed(views: Views, names: Iterable[str], settings: PathSettings, loader: Loader) -> Views:
    """Read families again.

    Parameters
    ----------
    views : Views
        Of packages that were found in folders. They stay as they are.
    names : iterable of str
        Families that have changed, have come, or are gone.
    settings : PathSettings
        With which the packages were found.
    loader : Loader
        For what is not plain.

    Raises
    ------
    OSError
        A location cannot be looked into, so that its families would seem to be gone.
    """
    locations = Freshness(views, settings).locations
    for path in locations:
        require_reachable(path)
    wanted = sorted(names)
    draft = FactsDraft()
    folders, _ = read_into(draft, (_places(name, locations) for name in wanted), settings, loader)
    base = TablesPart(views, range(len(locations)), None, wanted)
    return compose([DraftPart(draft, folders), base], locations=locations)


def _places(name: str, locations: list[str]) -> FamilyPlaces:
    found = ((number, path, find_family(path, name)) for number, path in enumerate(locations))
    return FamilyPlaces(name, tuple(Place(number, path, one) for number, path, one in found if one is not None))
