"""The kinds of package orderers.

Invariants
----------
- Orderers are values: they are not changed once made, and equal ones have equal keys.
- A value of the wrong type is refused when it is handed in; the text names it.
- rez is never imported. Objects of rez's own classes are read by their attributes and become ours; objects of other
  classes are kept and asked (`CustomOrder`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from rer_numba.errors import ConfigurationError
from rer_numba.version_order import Version

ALL_PACKAGES = "*"
ASKED_FOR_LISTS = "it is of a class of its own, and up to rez 3.0 only rez can ask it"


def wrong(what: str, value: object) -> ConfigurationError:
    """An error about a value, which may be an object of a class without a text, as rez's own base class was."""
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - the error that it is about counts more
        shown = f"an object of the class {type(value).__name__}"
    return ConfigurationError(f"package orderer: {what}: {shown}")


def as_families(given: Any) -> tuple[str, ...]:
    """Read a setting ``packages`` as rez does: None is all, a text is one family."""
    if given is None:
        return (ALL_PACKAGES,)
    families = [given] if isinstance(given, str) else given
    if not isinstance(families, Iterable) or isinstance(families, (bytes, Mapping)):
        raise wrong("packages must be names of families, not", given)
    names = list(families)
    if not all(isinstance(name, str) for name in names):
        raise wrong("packages must be names of families, not", given)
    return tuple(sorted(names))


def _as_version(given: Any) -> Version:
    """Read a version: a text, one of ours, one of rez's. None is the empty version, as rez takes it."""
    if isinstance(given, Version):
        return given
    if given is None or isinstance(given, str):
        return Version(given or "")
    if not hasattr(given, "tokens"):
        raise wrong("first_version must be a version, not", given)
    return Version.inf if given.tokens is None else Version(str(given))


def _as_int(name: str, given: Any) -> int:
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise wrong(f"{name} must be a whole number, not", given)
    return operator.index(given)


class PackageOrder:
    """Base of the orderers.

    Parameters
    ----------
    packages : iterable of str, optional
        The families it speaks for; a single text is one of them. None: all.

    Attributes
    ----------
    name : str
        rez's name of the type.
    packages : tuple of str
        Sorted; ``("*",)`` for all.
    """

    name: ClassVar[str]

    def __init__(self, packages: Iterable[str] | None = None) -> None:
        self.packages = as_families(packages)

    def settings(self) -> dict[str, Any]:
        """What the type is configured with, in rez's form and without ``packages``."""
        return {}

    def to_pod(self) -> dict[str, Any]:
        """Give it in rez's configuration form."""
        return {"type": self.name, **self.settings(), "packages": list(self.packages)}

    def key(self) -> tuple[Any, ...] | None:
        """Something hashable that is equal for equal orderers; None if nobody can tell (see `CustomOrder`)."""
        return (self.name, self.packages, *self.settings().values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackageOrder):
            return NotImplemented
        key = self.key()
        return self is other if key is None else key == other.key()

    def __hash__(self) -> int:
        key = self.key()
        return id(self) if key is None else hash(key)

    def __repr__(self) -> str:
        settings = {**self.settings(), "packages": list(self.packages)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"


class NoOrder(PackageOrder):
    """Packages stay in the order in which they were handed in. Ports: rez.package_order.NullPackageOrder."""

    name = "no_order"


class SortedOrder(PackageOrder):
    """By version. Ports: rez.package_order.SortedOrder (rez 3.4.0).

    Parameters
    ----------
    descending : bool
        The newest first, which is also what happens without an orderer. 0 and 1 will do.
    packages
        See `PackageOrder`.

    Raises
    ------
    ConfigurationError
        `descending` is anything else: rez would take any text, ``"false"`` too, as true.
    """

    name = "sorted"

    def __init__(self, descending: bool, packages: Iterable[str] | None = None) -> None:
        super().__init__(packages)
        if not isinstance(descending, int) or descending not in (0, 1):
            raise wrong("descending must be true or false, not", descending)
        self.descending = bool(descending)

    def settings(self) -> dict[str, Any]:
        """See `PackageOrder.settings`."""
        return {"descending": self.descending}


class VersionSplitOrder(PackageOrder):
    """Versions up to a given one first, then those above it. Ports: rez.package_order.VersionSplitPackageOrder.

    Parameters
    ----------
    first_version : Version or str
        The newest version of the first half.
    packages
        See `PackageOrder`.

    Raises
    ------
    VersionError
        The text is no version.
    ConfigurationError
        It is neither a text nor a version.
    """

    name = "version_split"

    def __init__(self, first_version: Version | str, packages: Iterable[str] | None = None) -> None:
        super().__init__(packages)
        self.first_version = _as_version(first_version)

    def settings(self) -> dict[str, Any]:
        """See `PackageOrder.settings`."""
        return {"first_version": str(self.first_version)}

    def key(self) -> tuple[Any, ...]:
        """Equal for two spellings of one version."""
        return (self.name, self.packages, self.first_version.key)


class SoftTimestampOrder(PackageOrder):
    """Packages released before a time first. Ports: rez.package_order.TimestampPackageOrder (rez 3.4.0).

    Parameters
    ----------
    timestamp : int
        The time, in seconds since 1970.
    rank : int
        If not 0, versions that only differ from this token on from one that was released in time count as in time.
    packages
        See `PackageOrder`.

    Raises
    ------
    ConfigurationError
        `timestamp` or `rank` is no whole number.
    """

    name = "soft_timestamp"

    def __init__(self, timestamp: int, rank: int | None = 0, packages: Iterable[str] | None = None) -> None:
        super().__init__(packages)
        self.timestamp = _as_int("timestamp", timestamp)
        self.rank = 0 if rank is None else _as_int("rank", rank)

    def settings(self) -> dict[str, Any]:
        """See `PackageOrder.settings`."""
        return {"timestamp": self.timestamp, "rank": self.rank}


class PerFamilyOrder(PackageOrder):
    """An orderer for each family. Ports: rez.package_order.PerFamilyOrder (rez 3.4.0).

    REZ-QUIRK: it only speaks for the families it names, so `default_order` is asked only if one of these names is ``*``
    (tests/test_orderers.py::test_default_order_of_per_family).

    Parameters
    ----------
    order_dict : mapping of str to orderer
        What the orderers themselves say in ``packages`` does not count here.
    default_order : orderer, optional
        For other families.
    packages
        See `PackageOrder`. None: those of `order_dict`. It is not part of the configuration form.
    """

    name = "per_family"

    def __init__(
        self,
        order_dict: Mapping[str, Any],
        default_order: Any = None,
        packages: Iterable[str] | None = None,
    ) -> None:
        if not isinstance(order_dict, Mapping):
            raise wrong("order_dict must be a mapping, not", order_dict)
        super().__init__(list(order_dict) if packages is None else packages)
        # one object stays one object, since the configuration form groups families by it
        made: dict[int, PackageOrder] = {}
        self.order_dict = {family: made.setdefault(id(order), as_order(order)) for family, order in order_dict.items()}
        self.default_order = None if default_order is None else as_order(default_order)

    def order_for(self, family: str) -> PackageOrder:
        """The orderer of a family.

        rez dies where no orderer is for the family: then that of ``*`` is, and last the newest version first.
        """
        return self.order_dict.get(family) or self.default_order or self.order_dict.get(ALL_PACKAGES) or NEWEST_FIRST

    def settings(self) -> dict[str, Any]:
        """See `PackageOrder.settings`."""
        by_order: dict[int, list[str]] = {}
        for family, order in self.order_dict.items():
            by_order.setdefault(id(order), []).append(family)
        groups = [sorted(families) for families in by_order.values()]
        pods = [{**self.order_dict[group[0]].to_pod(), "packages": group} for group in groups]
        more = {} if self.default_order is None else {"default_order": self.default_order.to_pod()}
        return {"orderers": pods, **more}

    def to_pod(self) -> dict[str, Any]:
        """Give it in rez's configuration form."""
        return {"type": self.name, **self.settings()}

    def key(self) -> tuple[Any, ...] | None:
        """See `PackageOrder.key`."""
        families = sorted(self.order_dict)
        keys = [self.order_dict[family].key() for family in families]
        default = () if self.default_order is None else self.default_order.key()
        if None in keys or default is None:
            return None
        return (self.name, self.packages, *zip(families, keys, strict=True), default)

    def __repr__(self) -> str:
        return f"PerFamilyOrder({self.order_dict!r}, {self.default_order!r})"


class CustomOrder(PackageOrder):
    """An orderer of somebody else's class, asked for a key for every version and range.

    Parameters
    ----------
    given : object
        With rez's ``sort_key(package_name, version_like)``, and in a `PerFamilyOrder` rather with rez's
        ``sort_key_implementation(package_name, version)``. Its ``packages`` count, if it has any.

    Attributes
    ----------
    from_rez : bool
        Its class is made from one of rez's, so it expects rez's own versions. Others get ours.
    """

    name = "custom"

    def __init__(self, given: Any) -> None:
        super().__init__(getattr(given, "packages", None))
        self.given = given
        self.from_rez = any(cls.__module__.partition(".")[0] == "rez" for cls in type(given).__mro__)

    def to_pod(self) -> dict[str, Any]:
        """Give what the object itself gives.

        Raises
        ------
        ConfigurationError
            It gives nothing.
        """
        try:
            return {"type": self.given.name, **self.given.to_pod()}
        except (AttributeError, NotImplementedError, TypeError) as error:
            raise wrong("has no configuration form", self.given) from error

    def key(self) -> None:
        """None: nobody knows what it depends on."""

    def sort_key(self, family: str, version_like: Any) -> Any:
        """Ask the object for a key. See `raised_by_custom` for what it raises."""
        return self.given.sort_key(family, version_like)

    def sort_key_of_version(self, family: str, version: Any) -> Any:
        """Ask it as a `PerFamilyOrder` does."""
        return getattr(self.given, "sort_key_implementation", self.given.sort_key)(family, version)

    def __repr__(self) -> str:
        return f"CustomOrder({self.given!r})"


def raised_by_custom(error: BaseException) -> bool:
    """Tell whether an error came out of an orderer of somebody else's class."""
    import traceback  # for errors only

    asking = {CustomOrder.sort_key.__code__, CustomOrder.sort_key_of_version.__code__}
    return any(frame.f_code in asking for frame, _ in traceback.walk_tb(error.__traceback__))


NEWEST_FIRST = SortedOrder(True)
"""What counts where no orderer does."""


_FROM_REZ: dict[str, Callable[[Any], PackageOrder]] = {
    "NullPackageOrder": lambda given: NoOrder(_packages(given)),
    "SortedOrder": lambda given: SortedOrder(bool(given.descending), _packages(given)),
    "PerFamilyOrder": lambda given: PerFamilyOrder(given.order_dict, given.default_order, _packages(given)),
    "VersionSplitPackageOrder": lambda given: VersionSplitOrder(given.first_version, _packages(given)),
    "TimestampPackageOrder": lambda given: SoftTimestampOrder(given.timestamp, given.rank, _packages(given)),
}
"""How an object of each of rez's own classes is read."""


def _packages(given: Any) -> Iterable[str] | None:
    """The families that an object of rez speaks for; up to rez 3.0 it speaks for all."""
    return getattr(given, "packages", None)


def is_orderer(given: Any) -> bool:
    """Tell whether an object has what rez calls of an orderer, in any of its versions."""
    return hasattr(given, "sort_key") or (hasattr(given, "reorder") and hasattr(given, "to_pod"))


def is_of_rez(given: Any) -> bool:
    """Tell whether an object is of one of rez's own classes of orderers, or made from one."""
    return any(cls.__module__ == "rez.package_order" for cls in type(given).__mro__)


def as_order(given: Any) -> PackageOrder:
    """Take an orderer of ours, one of rez's, or any object with rez's ``sort_key``.

    Raises
    ------
    ConfigurationError
        It is none of these.
    """
    if isinstance(given, PackageOrder):
        return given
    if type(given).__module__ == "rez.package_order" and type(given).__name__ in _FROM_REZ:
        return _FROM_REZ[type(given).__name__](given)
    if isinstance(given, type) or not callable(getattr(given, "sort_key", None)):
        if not isinstance(given, type) and is_orderer(given):
            raise wrong(ASKED_FOR_LISTS, given)
        raise wrong("neither a configuration nor an orderer", given)
    return CustomOrder(given)
