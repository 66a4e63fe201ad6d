"""Versions and the order they stand in: keys, cuts, bounds.

Everything is ordered by bytes. A version has a *key*, and comparing keys is comparing versions. A *cut* is a place
between versions, just before one or just after one, and has bytes of the same order. A *bound* is the versions between
two cuts.

Invariants
----------
- Equal keys are equal versions. The text is kept beside the key, because '1.0' and '1-0' are one version with two
  spellings, and results are spelled as the source was.
- Objects are not changed once made.

The key
-------
Each token is its subtokens and then 01, so a version that ends early comes first. A subtoken of letters is 02, the
letters, 00. One of digits is 03, the number of digits without leading zeros, those digits, the digits as spelled, 00:
larger numbers have more digits or larger ones, and equal numbers are compared as spelled ('01' before '1'). The empty
version is no bytes, infinity is FF.

The place of a cut
------------------
Before a version: its key. After it: its key and 00, which is more than the key and less than any longer version that
starts with it, since a key can only go on with 02 or 03.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, total_ordering
from typing import ClassVar

from rer_numba.errors import VersionError
from rer_numba.range_text import NEXT_SUFFIX

_TOKEN = re.compile(r"[A-Za-z0-9_]+")
_SUBTOKEN = re.compile(r"[0-9]+|[A-Za-z_]+")

_INF_KEY = b"\xff"
_AFTER = b"\x00"
_FEW_DIGITS = 0xF0


def version_key(text: str) -> bytes:
    """Give the order of a version without making the version.

    Parameters
    ----------
    text : str
        A version as spelled; any single character other than letters, digits and '_' separates tokens.

    Returns
    -------
    bytes
        The key; keys compare like rez's versions.

    Raises
    ------
    VersionError
        `text` is no version; rez's text.
    """
    tokens = _TOKEN.findall(text)
    separators = len(text) - len("".join(tokens))
    if separators != len(tokens) - 1 and text:
        raise VersionError(f"Invalid version syntax: '{text}'" if tokens else text)
    return b"".join(map(_token_key, tokens))


@lru_cache(maxsize=1 << 16)
def _token_key(token: str) -> bytes:
    """Encode one token. Kept, since a repository has few distinct ones: 0.06 us instead of 1.3."""
    subtokens = [
        _number_key(text) if text[0] <= "9" else b"\x02%b\x00" % text.encode() for text in _SUBTOKEN.findall(token)
    ]
    return b"".join(subtokens) + b"\x01"


def _number_key(spelled: str) -> bytes:
    digits = spelled.lstrip("0").encode()
    return b"\x03%b%b%b\x00" % (_length_key(len(digits)), digits, spelled.encode())


def _length_key(length: int) -> bytes:
    """Encode a length so that longer is greater: one byte as a rule, the size of the length first when it is large."""
    if length < _FEW_DIGITS:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((_FEW_DIGITS + size,)) + length.to_bytes(size, "big")


@total_ordering
class Version:
    """A version: tokens of letters and digits with one separator between each two.

    Ports: rez.version.Version (rez 3.4.0).

    Parameters
    ----------
    text : str
        As in '1.2.0-beta'. '' is the smallest version, that of an unversioned package.

    Attributes
    ----------
    text : str
        As spelled.
    key : bytes
        Its order, see the head of this module.
    inf : Version
        Greater than every version, and one object: copies and pickles of it are it. It is false like the empty
        version, as in rez.

    Raises
    ------
    VersionError
        `text` is no version.
    """

    __slots__ = ("key", "text")

    text: str
    key: bytes
    inf: ClassVar[Version]

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.key = version_key(text)

    def as_tuple(self) -> tuple[str, ...]:
        """Give the tokens as spelled; infinity has none."""
        return tuple(_TOKEN.findall(self.text)) if self else ()

    def next(self) -> Version:
        """Give the end of the versions that start with this one: 1.2 and 1.2.9 lie before 1.2_."""
        return Version(self.text + NEXT_SUFFIX) if self else Version.inf

    def trim(self, length: int) -> Version:
        """Keep the first `length` tokens and the separators between them."""
        kept = list(_TOKEN.finditer(self.text))[:length] if self else []
        return Version(self.text[: kept[-1].end()]) if kept else Version()

    def __len__(self) -> int:
        return len(self.as_tuple())

    def __bool__(self) -> bool:
        return self.key not in (b"", _INF_KEY)

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"

    def __reduce__(self) -> tuple[Callable[..., Version], tuple[str, ...]]:
        return (_infinity, ()) if self.key == _INF_KEY else (Version, (self.text,))


def _infinity() -> Version:
    return Version.inf


def _make_infinity() -> Version:
    version = Version()
    version.text = "[INF]"
    version.key = _INF_KEY
    return version


Version.inf = _make_infinity()


class Cut:
    """A place between versions.

    Parameters
    ----------
    version : Version
        The version it is next to.
    after : bool
        It lies after the version, not before it.

    Attributes
    ----------
    place : bytes
        Cuts compare like their places.
    """

    __slots__ = ("after", "place", "version")

    def __init__(self, version: Version, after: bool) -> None:
        self.version = version
        self.after = after
        self.place = version.key + _AFTER if after else version.key


BOTTOM = Cut(Version(), False)
TOP = Cut(Version.inf, True)


def places_around(version: Version) -> tuple[bytes, bytes]:
    """Give the places just before and just after a version."""
    return version.key, version.key + _AFTER


def upper_cut(version: Version, inclusive: bool) -> Cut:
    """Make an upper end. Nothing lies below the empty version, and rez cannot end before infinity either."""
    if not version and not inclusive:
        raise VersionError(f"Invalid upper bound: '<{version}'")
    return Cut(version, inclusive)


class Bound:
    """The versions between two cuts.

    Ports: rez.version._version._Bound, _LowerBound, _UpperBound (rez 3.4.0).

    Parameters
    ----------
    lower, upper : Cut
        The ends.
    invalid_bound_error : bool
        Raise if nothing lies between the ends.

    Attributes
    ----------
    places : tuple of two bytes
        Bounds compare like their places.

    Raises
    ------
    VersionError
        The ends are in the wrong order.
    """

    __slots__ = ("lower", "places", "upper")

    def __init__(self, lower: Cut, upper: Cut, invalid_bound_error: bool = True) -> None:
        if invalid_bound_error and lower.place >= upper.place:
            raise VersionError("Invalid bound")
        self.lower = lower
        self.upper = upper
        self.places = (lower.place, upper.place)

    @property
    def lower_version(self) -> Version:
        """The version at the lower end; the empty version if there is no lower end."""
        return self.lower.version

    @property
    def lower_inclusive(self) -> bool:
        """Whether the version at the lower end is inside."""
        return not self.lower.after

    @property
    def upper_version(self) -> Version:
        """The version at the upper end; `Version.inf` if there is no upper end."""
        return self.upper.version

    @property
    def upper_inclusive(self) -> bool:
        """Whether the version at the upper end is inside."""
        return self.upper.after

    @classmethod
    def exact(cls, version: Version) -> Bound:
        """Make the bound that holds one version."""
        return cls(Cut(version, False), Cut(version, True))

    def is_possible(self) -> bool:
        """Tell whether something lies between the ends."""
        return self.lower.place < self.upper.place

    def is_exact(self) -> bool:
        """Tell whether one version is all there is between the ends."""
        return self.lower_inclusive and self.upper_inclusive and self.lower.version == self.upper.version

    def __eq__(self, other: object) -> bool:
        return self.places == other.places if isinstance(other, Bound) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.places)

    def __str__(self) -> str:
        lower, upper = self.lower.version, self.upper.version
        if upper.key == _INF_KEY:
            return self._lower_text()
        if lower.key == upper.key:
            return f"=={lower}"
        if not self.lower.after and self.upper.after:
            return f"{lower}..{upper}" if lower else f"<={upper}"
        if not self.lower.after and lower.next().key == upper.key:
            return lower.text
        return f"{self._lower_text()}{'<=' if self.upper.after else '<'}{upper}"

    def _lower_text(self) -> str:
        if self.lower.after:
            return f">{self.lower.version}" if self.lower.version else ">"
        return f"{self.lower.version}+" if self.lower.version else ""

    def __repr__(self) -> str:
        return f"Bound({str(self)!r})"
