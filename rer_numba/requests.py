"""Requests to arrays: merged as rez merges them, families and bounds looked up in the repository.

A bound that the repository has never seen is placed in the room between the two versions around it (see
`rer_numba.schema`), so that its range stays exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from rer_numba.errors import SolveLimitError
from rer_numba.requirements import Requirement, RequirementList, as_requirement
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, Tables
from rer_numba.state import EPHEMERAL_REQUEST, NO_RANGE
from rer_numba.version_order import Version
from rer_numba.versions import Look, VersionRange
from rer_numba.views import Views, views_of

# how many texts, names and so on a repository remembers at a time
REMEMBERED = 1 << 16


_LONG = 1 << 13
"""Characters of a text that takes milliseconds to read, and memory to remember."""
_LARGE = 1 << 10
"""Bounds of a range of which that is true."""

_T = TypeVar("_T")

_remembered = lru_cache(maxsize=REMEMBERED)(as_requirement)


class TimeIsUpError(Exception):
    """Raised within the reading of a request whose time is up, see `rer_numba.stepping.Limits`."""


def parse_requirement(text: str, look: Look | None = None) -> Requirement:
    """Parse a text; the latest ones are remembered, unless they are long.

    Raises
    ------
    PackageRequestError, VersionError
        As rez raises them for a text that is no requirement.
    Exception
        What `look` raises, which is called now and then.
    """
    text = str.__str__(text)  # of a class of its own, which may hash and compare as it likes
    return _remembered(text) if len(text) < _LONG else as_requirement(text, look)


class MergedRequest(RequirementList):
    """A request as it was given, and merged.

    Attributes
    ----------
    given : list of Requirement
        Before merging, with the implicit ones behind: what late functions are shown.
    """

    __slots__ = ("given",)

    def __init__(self, requirements: Iterable[Requirement], look: Look | None = None) -> None:
        self.given = list(requirements)
        super().__init__(looking(self.given, look))


def parse_requests(requests: Iterable[Any], implicit: Iterable[str] = (), look: Look | None = None) -> MergedRequest:
    """Parse and merge a request, and the implicit ones that follow it.

    Parameters
    ----------
    requests : iterable of str or requirement
    implicit : iterable of str
    look : callable, optional
        Called every few milliseconds; it may raise to end everything.

    Raises
    ------
    TypeError
        It is a single text, or holds something that is neither a text nor a requirement.
    PackageRequestError, VersionError
        As rez raises them for a text that is no request.
    """
    if isinstance(requests, (str, bytes)):
        raise TypeError(f"a request is a list of texts, not the text {requests!r}")
    items = [
        parse_requirement(item, look) if isinstance(item, str) else as_requirement(item)
        for item in looking(requests, look)
    ]
    items += map(parse_requirement, implicit)
    return MergedRequest(items, look)


def looking(items: Iterable[_T], look: Look | None) -> Iterable[_T]:
    """The same items, with a look before each."""
    return items if look is None else _looking(items, look)


def _looking(items: Iterable[_T], look: Look) -> Iterator[_T]:
    for item in items:
        look()
        yield item


class EncodedRequest(NamedTuple):
    """A merged request as the kernel takes it.

    Attributes
    ----------
    requirements : list of Requirement
        In rez's order; row `i` of the arrays.
    families : list of int
        Ids; those the repository does not know are counted on from its last.
    flags : list of int
        CONFLICT, NO_RANGE, EPHEMERAL_REQUEST.
    cut_offsets, cuts : list of int
        Their ranges.
    unseen : dict
        Version of each cut that the repository does not know, by the place before it.
    """

    requirements: list[Requirement]
    families: list[int]
    flags: list[int]
    cut_offsets: list[int]
    cuts: list[int]
    unseen: dict[int, Version]


class Lookup:
    """Finds families and versions of a repository by name, reading only what it compares.

    A mapped repository has no dictionaries, and making them would cost as much as the solve: there is an order of names
    and one of keys, so they are found by bisection, and remembered.
    """

    def __init__(self, tables: Tables | Views) -> None:
        self._tables = views_of(tables)
        self._text_bytes = self._tables.text_bytes
        self._key_bytes = self._tables.version_key
        self._families: dict[str, int] = {}
        self._rows: dict[str, tuple[int, int, list[int] | None]] = {}
        self._places: dict[bytes, tuple[int, bool]] = {}
        self.n_families = len(self._tables.family_text)
        self._n_versions = len(self._tables.version_text)

    def text(self, text_id: int) -> str:
        """A string of the pool."""
        offsets = self._tables.text_offsets
        return str(self._text_bytes[offsets[text_id] : offsets[text_id + 1]], "utf-8", "surrogatepass")

    def family_name(self, family: int) -> str:
        """The name of a family."""
        return self.text(self._tables.family_text[family])

    def family(self, name: str) -> int:
        """The id of a family, or -1 when the repository does not know the name."""
        found = self._families.get(name)
        if found is None:
            if len(self._families) >= REMEMBERED:
                self._families.clear()
            by_name = self._tables.family_by_name
            at = bisect_left(range(self.n_families), name, key=lambda place: self.family_name(by_name[place]))
            family = by_name[at] if at < self.n_families else -1
            if len(self._families) >= REMEMBERED:
                self._families.clear()
            found = self._families[name] = family if family >= 0 and self.family_name(family) == name else -1
        return found

    def _version_key(self, rank: int) -> bytes:
        offsets = self._tables.version_key_offsets
        return bytes(self._key_bytes[offsets[rank] : offsets[rank + 1]])

    def version_rank(self, key: bytes) -> tuple[int, bool]:
        """(rank, True) of a version, or (the rank of the next greater one, False)."""
        found = self._places.get(key)
        if found is None:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            rank = bisect_left(range(self._n_versions), key, key=self._version_key)
            known = rank < self._n_versions and self._version_key(rank) == key
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            found = self._places[key] = (rank, known)
        return found

    def encode(self, requirements: list[Requirement], look: Look | None = None) -> EncodedRequest:
        """Look up a merged request; `look` is as for `parse_requests`.

        The place of a bound that the repository does not know depends on the others in the same gap alone, so that
        requests with nothing in common can be put together.
        """
        request = EncodedRequest(requirements, [], [], [0], [], {})
        unseen: dict[bytes, tuple[int, Version]] | None = None
        for row, requirement in enumerate(looking(requirements, look)):
            family, flags, cuts = self.row(requirement, look)
            if cuts is None:  # it has a bound that the repository does not know: placed for this request alone
                unseen = unseen if unseen is not None else self._place_unseen(requirements, look)
                cuts = self._cuts(requirement.range, unseen, look)
            # a name appears once in a merged request, so its row is a number of its own
            request.families.append(family if family >= 0 else self.n_families + row)
            request.flags.append(flags)
            request.cuts.extend(cuts)
            request.cut_offsets.append(len(request.cuts))
        request.unseen.update((unseen or {}).values())
        return request

    def row(self, requirement: Requirement, look: Look | None = None) -> tuple[int, int, list[int] | None]:
        """(family or -1, flags, cuts or None) of a requirement, remembered by its text unless that is long."""
        if requirement.range is not None and len(requirement.range) > _LARGE:
            return self._row(requirement, look)
        text = str(requirement)
        found = self._rows.get(text)
        if found is None:
            if len(self._rows) >= REMEMBERED:
                self._rows.clear()
            found = self._rows[text] = self._row(requirement, look)
        return found

    def _row(self, requirement: Requirement, look: Look | None) -> tuple[int, int, list[int] | None]:
        known = all(self.version_rank(version.key)[1] for version in looking(_bound_versions(requirement), look))
        cuts = self._cuts(requirement.range, {}, look) if known else None
        return self.family(requirement.name), flags_of(requirement), cuts

    def _cuts(
        self, range_: VersionRange | None, unseen: dict[bytes, tuple[int, Version]], look: Look | None
    ) -> list[int]:
        cuts = []
        for bound in looking(range_.bounds, look) if range_ is not None else ():
            cuts.append(self._place(bound.lower_version, unseen) + (not bound.lower_inclusive))
            upper = bound.upper_version
            cuts.append(CUT_INF if upper is Version.inf else self._place(upper, unseen) + bound.upper_inclusive)
        return cuts

    def _place(self, version: Version, unseen: dict[bytes, tuple[int, Version]]) -> int:
        rank, known = self.version_rank(version.key)
        return rank << CUT_SHIFT if known else unseen[version.key][0]

    def _place_unseen(self, requirements: list[Requirement], look: Look | None) -> dict[bytes, tuple[int, Version]]:
        """Places for the bounds that the repository does not know, in order, between those it does."""
        found: dict[bytes, Version] = {}
        for requirement in requirements:
            for version in looking(_bound_versions(requirement), look):
                if not self.version_rank(version.key)[1]:
                    found.setdefault(version.key, version)
        if len(found) >= 1 << (CUT_SHIFT - 2):
            raise SolveLimitError("unknown versions in one request", len(found), 1 << (CUT_SHIFT - 2))
        places = {}
        number = last_rank = 0
        for key in looking(sorted(found), look):
            rank, _ = self.version_rank(key)
            number = number + 1 if rank == last_rank else 1
            last_rank = rank
            places[key] = (((rank - 1) << CUT_SHIFT) + 2 * number, found[key])
        return places


def flags_of(requirement: Requirement) -> int:
    """CONFLICT, NO_RANGE, EPHEMERAL_REQUEST: what the kernel knows of a requirement beside its range."""
    flags = CONFLICT if requirement.conflict else 0
    flags |= EPHEMERAL_REQUEST if requirement.name.startswith(".") else 0
    return flags | (NO_RANGE if requirement.range is None else 0)


def _bound_versions(requirement: Requirement) -> Iterator[Version]:
    """The versions at the ends of a requirement's range."""
    for bound in requirement.range.bounds if requirement.range is not None else ():
        yield bound.lower_version
        if bound.upper_version is not Version.inf:
            yield bound.upper_version
