"""What a solve knows of a package: the input of the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from rer_numba import errors

if TYPE_CHECKING:
    from rer_numba.requirements import Requirement

LATE = "LateBinding"
"""The `BrokenValue.error_type` of an attribute that is a late function: only rez, in a solve, could say its value."""

PROCESS = "ProcessDependent"
"""The `BrokenValue.error_type` of what is known only in the process that asks: see `PackageData.of_process`."""


class BrokenValue(NamedTuple):
    """What rez raises when an attribute of a package is read.

    Attributes
    ----------
    error_type : str
        Name of the exception class, `LATE`, or `PROCESS`.
    text : str
        Its text; of a late function, a sentence that names the attribute; of `PROCESS`, what the file asks the process.
    """

    error_type: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> BrokenValue:
        """Note an error; what its text holds of half characters is escaped, since no file of ours could hold them."""
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - an error of somebody else's class may have no text
            text = "an error that cannot be told"
        return cls(type(error).__name__, text.encode("utf-8", "backslashreplace").decode())

    def exception(self) -> Exception:
        """The exception: of rez's class, if `rer_numba.errors` has it, otherwise a `RerError`."""
        return errors.exception_of(self.error_type, self.text)


class Found(NamedTuple):
    """The attributes of a package as they were found: a `BrokenValue` for one whose reading raises."""

    requires: tuple[str, ...] | BrokenValue
    variants: tuple[tuple[str, ...], ...] | BrokenValue
    build_requires: tuple[str, ...] | BrokenValue
    timestamp: int | BrokenValue | None


Merged: TypeAlias = "list[Requirement] | tuple[str, str]"
"""What a variant requires, merged; or class and text of what looking at it raises."""

_T = TypeVar("_T")


def _sound(value: _T | BrokenValue) -> _T:
    if isinstance(value, BrokenValue):
        raise value.exception()
    return value


def _texts(values: Iterable[Any] | None, what: str, name: str, version: str) -> tuple[str, ...]:
    if values is None:
        return ()
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{what} of {name}-{version} must be a list of requirements, not the text {values!r}")
    return tuple([value if isinstance(value, str) else str(value) for value in values])


class PackageData:
    """One package: a family and a version, with what its variants require.

    Parameters
    ----------
    name : str
        The family.
    version : str
        As spelled; '' is an unversioned package.
    requires : sequence of str, optional
        Requirements of all variants. Requirement objects of rez are taken as their text.
    variants : sequence of sequences of str, optional
        More requirements, one list for each variant. None or empty: one variant without an index.
    build_requires : sequence of str, optional
        Joined in when a solve is for a build.
    timestamp : int, optional
        Release time in seconds since 1970.
    uri : str, optional
        Where the definition is; results name it. Without one they name `name/version/package.py`.

    Raises
    ------
    TypeError
        A list of requirements is a single text, or name or version is no text.

    Attributes
    ----------
    name, version, requires, variants, build_requires, timestamp, uri
        As handed in. Packages do not change: the lists are copies. Reading an attribute that `as_found` was told is
        broken raises what rez raises.
    found : Found
        The same, unraised.
    """

    __slots__ = ("found", "name", "uri", "version")

    name: str
    version: str
    uri: str | None
    found: Found

    def __init__(
        self,
        name: str,
        version: str,
        requires: Sequence[Any] | None = None,
        variants: Sequence[Sequence[Any]] | None = None,
        *,
        build_requires: Sequence[Any] | None = None,
        timestamp: int | None = None,
        uri: str | None = None,
    ) -> None:
        if not isinstance(name, str) or not isinstance(version, str):
            raise TypeError(f"name and version of a package must be texts, not {name!r} and {version!r}")
        put = object.__setattr__
        put(self, "name", name)
        put(self, "version", version)
        found = Found(
            _texts(requires, "requires", name, version),
            tuple([_texts(item, "a variant", name, version) for item in variants or ()]),
            _texts(build_requires, "build_requires", name, version),
            timestamp,
        )
        put(self, "found", found)
        put(self, "uri", uri)

    def __setattr__(self, field: str, value: object) -> None:
        raise AttributeError(f"a package does not change: make another PackageData instead of setting {field!r}")

    @property
    def requires(self) -> list[str]:
        """Requirements of all variants."""
        return list(_sound(self.found.requires))

    @property
    def variants(self) -> list[list[str]]:
        """More requirements, a list for each variant."""
        return [list(variant) for variant in _sound(self.found.variants)]

    @property
    def build_requires(self) -> list[str]:
        """Requirements that join in when building."""
        return list(_sound(self.found.build_requires))

    @property
    def timestamp(self) -> int | None:
        """Release time in seconds since 1970, or None."""
        return _sound(self.found.timestamp)

    @classmethod
    def as_found(
        cls,
        name: str,
        version: str,
        requires: Sequence[str] | BrokenValue | None = None,
        variants: Sequence[Sequence[str]] | BrokenValue | None = None,
        *,
        build_requires: Sequence[str] | BrokenValue | None = None,
        timestamp: int | BrokenValue | None = None,
        uri: str | None = None,
    ) -> PackageData:
        """Make a package some of whose attributes cannot be read: a `BrokenValue` in place of each.

        The package is broken where rez would find it broken, and only a solve that reads such an attribute fails.
        """
        given = {"requires": requires, "variants": variants, "build_requires": build_requires, "timestamp": timestamp}
        broken = {key: value for key, value in given.items() if isinstance(value, BrokenValue)}
        sound: dict[str, Any] = {key: value for key, value in given.items() if key not in broken}
        package = cls(name, version, **sound, uri=uri)
        if broken:
            object.__setattr__(package, "found", package.found._replace(**broken))
        return package

    @classmethod
    def unreadable(cls, name: str, version: str, error: BrokenValue, uri: str | None) -> PackageData:
        """Make a package of which nothing can be read."""
        return cls.as_found(name, version, error, error, build_requires=error, timestamp=error, uri=uri)

    @classmethod
    def of_process(cls, name: str, version: str, reason: str, uri: str | None) -> PackageData:
        """Make a mark for a package that says something else in each process, or may.

        Nothing of what it says is known here, not even its release time. A solve ends as soon as it comes to it, and
        whoever solves evaluates the package in this process (`rer_numba.process_packages`).

        Parameters
        ----------
        reason : str
            What the file asks its process, in words that follow its name.
        """
        return cls.unreadable(name, version, process_mark(f"{name}-{version}" if version else name, reason), uri)

    @classmethod
    def from_rez(cls, package: Any) -> PackageData:
        """Take a `rez.packages.Package` (or anything with its attributes). Loads the package."""
        return cls(
            package.name,
            str(package.version or ""),
            package.requires,
            package.variants,
            build_requires=getattr(package, "build_requires", None),
            timestamp=getattr(package, "timestamp", None),
            uri=getattr(package, "uri", None),
        )

    @classmethod
    def from_strings(
        cls,
        name: str,
        version: str,
        requires: Sequence[str] | None = None,
        variants: Sequence[Sequence[str]] | None = None,
    ) -> PackageData:
        """Make a package of texts only; anything else is a TypeError."""
        for text in (*(requires or ()), *(text for variant in variants or () for text in variant)):
            if not isinstance(text, str):
                raise TypeError(f"from_strings takes texts, not {type(text).__name__}: {text!r}")
        return cls(name, version, requires, variants)

    def _fields(self) -> tuple[object, ...]:
        return self.name, self.version, *self.found, self.uri

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackageData):
            return NotImplemented
        mine, theirs = self.found, other.found
        return (
            self.version == other.version
            and mine == theirs
            and self.name == other.name
            and self.uri == other.uri
            # a BrokenValue equals the plain tuple of its two texts, which would be two requirements
            and type(mine[0]) is type(theirs[0])
            and type(mine[1]) is type(theirs[1])
            and type(mine[2]) is type(theirs[2])
        )

    def __hash__(self) -> int:
        return hash(self._fields())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._fields()

    def __repr__(self) -> str:
        requires = self.found.requires if isinstance(self.found.requires, BrokenValue) else self.requires
        variants = self.found.variants if isinstance(self.found.variants, BrokenValue) else self.variants
        return f"PackageData({self.name!r}, {self.version!r}, {requires!r}, {variants!r})"


class MergedPackage(PackageData):
    """A package of which only what each variant requires in the end is known: it comes from tables.

    Attributes
    ----------
    merged : list of (Merged, Merged)
        Of each variant, without and with what only a build needs.
    indexed : bool
        Whether the variants have numbers.
    """

    __slots__ = ("indexed", "merged")

    merged: list[tuple[Merged, Merged]]
    indexed: bool

    @classmethod
    def of(
        cls,
        name: str,
        version: str,
        merged: list[tuple[Merged, Merged]],
        texts: list[list[str]],
        *,
        indexed: bool,
        timestamp: int | BrokenValue,
        uri: str,
    ) -> MergedPackage:
        """Make one; `texts` are those of what each variant requires, for whoever only wants to guess."""
        requires, variants = (None, texts) if indexed else (texts[0], None)
        made = cls.as_found(name, version, requires, variants, timestamp=timestamp, uri=uri)
        assert isinstance(made, MergedPackage)
        object.__setattr__(made, "merged", merged)
        object.__setattr__(made, "indexed", indexed)
        return made


def process_mark(what: str, reason: str) -> BrokenValue:
    """The error of what is known only in the process that asks: a package, or a family in one file."""
    return BrokenValue(PROCESS, f"{what} {reason}, so it has to be evaluated in the process that solves")


def _rebuild(
    name: str, version: str, requires: Any, variants: Any, build: Any, timestamp: Any, uri: str | None
) -> PackageData:
    return PackageData.as_found(name, version, requires, variants, build_requires=build, timestamp=timestamp, uri=uri)
