"""What rez remembers in this process of the packages in folders, and what it would remember had it been asked itself.

rez lists a family when a solve first looks at it, and loads a package when a solve first looks at that; both stay as
they were until its caches are cleared. Ours is answered from other sources, and reads ahead of the solve. So that the
answers are those rez would give at this moment:

- Reading ahead leaves no trace in rez, and counts only when a solve touches it: if it has changed by then, it is read
  again.
- What a solve has touched is put where rez remembers it: lists of packages into rez's own caches, what packages say
  into a `Memory`, which goes when rez forgets. A file that cannot be loaded is not remembered: rez tries again.
- Whatever rez remembers of its own counts more than what lies in the folders.
- What a solve has touched by tables that were encoded before is noted there as well (`rer_numba.rez_bridge.seen`), and
  asked for when somebody comes to the same path by other ways.
"""

from __future__ import annotations

import gc
import os
from types import FunctionType
from typing import TYPE_CHECKING, Any

from rer_numba.packages import PackageData
from rer_numba.rez_bridge.watch import is_cache, token_in

if TYPE_CHECKING:
    from rer_numba.rez_bridge.seen import Seen

_KEPT = "memory"
"""Where a token keeps it."""
PLAIN = "filesystem.package"
COMBINED = "filesystem.package.combined"


class Memory:
    """What solves have touched of one repository since rez began to remember. It is gone as soon as rez forgets.

    Attributes
    ----------
    packages : dict
        (family, version as spelled) -> what the package says.
    families : dict
        Family -> its packages, rez.package_resources.PackageResource each. Those that rez remembers itself are missing.
    seen : dict
        What was touched by tables, and is in neither of these so far; by the tables and the number of the location.
    """

    def __init__(self) -> None:
        self.packages: dict[tuple[str, str], PackageData] = {}
        self.families: dict[str, list[Any]] = {}
        self.seen: dict[tuple[int, int], Seen] = {}

    @classmethod
    def of(cls, place: Any) -> Memory:
        """That of a repository of rez; a new one when rez has forgotten, or remembers nothing."""
        token = token_in(place)
        alive = None if token is None else token()
        if alive is None:
            return cls()
        found: Memory = alive.kept.get(_KEPT) or alive.kept.setdefault(_KEPT, cls())
        return found

    def family(self, place: Any, name: str) -> list[Any] | None:
        """The packages of a family as a solve has seen them by tables; None if none has."""
        found = self.families.get(name)
        if found is None and self.seen:
            listed = (seen.listed(place, name) for seen in list(self.seen.values()))
            found = next((one for one in listed if one is not None), None)
            if found is not None:
                self.families[name] = found
        return found

    def package(self, name: str, version: str) -> PackageData | None:
        """What a package says, as a solve has seen it; None if none has."""
        found = self.packages.get((name, version))
        if found is None and self.seen:
            told = (seen.package(name, version) for seen in list(self.seen.values()))
            found = next((one for one in told if one is not None), None)
            if found is not None:
                self.packages[name, version] = found
        return found


class Listed:
    """A family in one repository, listed without a trace in rez; as it is remembered, if it is.

    Parameters
    ----------
    place : rez.package_repository.PackageRepository
    name : str

    Attributes
    ----------
    family : rez.package_resources.PackageFamilyResource or None
        With nothing loaded that rez has not. None: there is none, or only tables were looked at.

    Raises
    ------
    Exception
        Whatever looking for a family raises.
    """

    def __init__(self, place: Any, name: str) -> None:
        self.place = place
        self._name = name
        self._packages: list[Any] | None = None
        self._state: tuple[object, ...] | None = None
        self.family = None
        known = Memory.of(place).family(place, name)
        if known is not None:
            self._packages = known
        elif not _lists_folders(place) or listed_by_rez(place, name) is not None:
            self.family = place.get_package_family(name)
        else:
            self._state = _family_state(place, name)
            # rez may remember that there is a family, and not have listed it
            find = place.get_family if remembers(place.get_family, name) else place._get_family
            family = find(name)
            self.family = None if family is None else fresh(family)

    def packages(self) -> list[Any]:
        """List the packages: rez.package_resources.PackageResource each. Whatever listing raises is raised."""
        if self._packages is None:
            if self.family is None:
                self._packages = []
            elif self._state is None:
                self._packages = list(self.place.iter_packages(self.family))
            else:
                self._packages = list(self.family.iter_packages())
        return self._packages

    def is_so(self, *, surely: bool) -> bool:
        """Tell whether rez would list the same now; `surely`: nothing can have changed in between."""
        if self._state is None:
            return True
        now = remembered(self.place, self._name)
        if now is not None:
            return now == (self._packages or [])
        return surely or _family_state(self.place, self._name) == self._state

    def remember(self) -> None:
        """Let rez remember it, without looking at the folder once more."""
        if self._state is None:
            return
        family = self.place.get_family(self._name)
        if family is not None and self.family is not None and self._packages is not None:
            hand_over(self.family, family)
            vars(family)["iter_packages"] = lambda: iter(self._packages or ())
            try:
                self.place.get_packages(family)
            finally:
                vars(family).pop("iter_packages", None)


def remembered(place: Any, name: str) -> list[Any] | None:
    """The packages of a family as rez, or a solve by tables, has found them first; None if nobody has looked."""
    found = Memory.of(place).family(place, name)
    return listed_by_rez(place, name) if found is None else found


def listed_by_folder(place: Any, name: str) -> list[Any]:
    """The packages of a family as they lie there now, without a trace in rez. Whatever listing raises is raised."""
    family = place._get_family(name)
    return [] if family is None else list(fresh(family).iter_packages())


def listed_by_rez(place: Any, name: str) -> list[Any] | None:
    """The packages of a family as rez remembers them, none if it remembers that there is none; None if it does not."""
    if not remembers(place.get_family, name):
        return None
    family = place.get_family(name)
    if family is None:
        return []
    return list(place.get_packages(family)) if remembers(place.get_packages, (family,)) else None


def folder_resource(place: Any, name: str, version: str, uri: str) -> Any:
    """rez's object for a package of its folders, known by where it is defined. Nothing is looked at or loaded."""
    path, is_combined, _ = uri.rpartition("<")
    if is_combined and uri.endswith(f"<{version}>"):
        extension = os.path.splitext(path)[1][1:]
        return place.get_resource(COMBINED, location=place.location, name=name, ext=extension, version=version)
    return place.get_resource(PLAIN, location=place.location, name=name, version=version)


def fresh(resource: Any) -> Any:
    """The same resource with nothing loaded, so that what is loaded leaves no trace."""
    made = type(resource)(resource.variables)
    made._repository = resource._repository
    return made


def hand_over(own: Any, resource: Any) -> None:
    """Let rez's resource have what was found and loaded for it."""
    if own is not resource:
        for key in ("_filepath_and_format", "_data"):
            if key in vars(own):
                vars(resource).setdefault(key, vars(own)[key])


def remembers(cache: Any, key: object) -> bool:
    """Tell whether a cache of rez's holds an answer, without asking for it.

    Where it cannot be looked into, it counts as holding one: it is asked then, as rez does.

    Parameters
    ----------
    cache : callable
    key : str, or tuple
        The argument; in a tuple if it is no text.
    """
    found = answers_in(cache)
    if isinstance(cache, FunctionType):
        key = key if isinstance(key, tuple) else (key,), frozenset()
    return any(key in one for one in found) if found else True


def answers_in(cache: Any) -> list[dict[Any, Any]]:
    """What an `lru_cache` holds: Python's, or that of rez up to 3.0, which is a function with its answers around it."""
    if isinstance(cache, FunctionType):
        held = [cell.cell_contents for cell in cache.__closure__ or ()]
    else:
        held = gc.get_referents(cache)
    return [one for one in held if type(one) is dict and one is not vars(cache)]


def file_state(path: str | None) -> tuple[object, ...]:
    """What tells that a file is the same."""
    if path is None:
        return ()
    try:
        found = os.stat(path)
    except OSError:
        return (path,)
    return path, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _family_state(place: Any, name: str) -> tuple[object, ...]:
    """What tells that a family is listed as before: of its folder, or else of the files that may be in its place."""
    path = os.path.join(place.location, name)
    folder = file_state(path)
    return folder if len(folder) > 1 else (file_state(f"{path}.py"), file_state(f"{path}.yaml"))


def _lists_folders(place: Any) -> bool:
    return bool(place.name() == "filesystem" and hasattr(place, "_get_family") and is_cache(place.get_family))
