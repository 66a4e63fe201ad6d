"""What a solve knows of a package: the input of the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def _texts(values: Iterable[Any] | None, what: str) -> list[str]:
    if values is None:
        return []
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{what} must be a list of requirements, not the text {values!r}")
    return [value if isinstance(value, str) else str(value) for value in values]


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
    """

    __slots__ = ("build_requires", "name", "requires", "timestamp", "uri", "variants", "version")

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
        self.name = name
        self.version = version
        self.requires = _texts(requires, f"requires of {name}-{version}")
        self.variants = [_texts(variant, f"a variant of {name}-{version}") for variant in variants or ()]
        self.build_requires = _texts(build_requires, f"build_requires of {name}-{version}")
        self.timestamp = timestamp
        self.uri = uri

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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackageData):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it holds lists

    def __repr__(self) -> str:
        return f"PackageData({self.name!r}, {self.version!r}, {self.requires!r}, {self.variants!r})"
