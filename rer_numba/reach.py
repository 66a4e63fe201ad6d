"""A guess at what a solve will look at, so that it is read at once and not in a hundred small steps.

The guess follows rez's way, much simplified: packages in range are read, what all of them require narrows the other
families, and then, one family after the other, only the newest package is left. That last part may go another way than
the solve will, so nothing is read there whose code would have to run. Where two requirements contradict each
other the later one is ignored. The solve tells later what the guess has missed; a package too many costs a tenth of a
millisecond. Nothing here decides about an answer.

Slices are masks, Python integers: bit `n` stands for the n-th package of a family from the oldest to the newest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import islice

from rer_numba.errors import PackageRequestError, VersionError
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.partial import Partial
from rer_numba.requests import parse_requirement
from rer_numba.requirements import Requirement, is_valid_package_name
from rer_numba.version_order import Version, places_around

Slices = dict[str, int]


class Reach:
    """Guesses for one repository; remembers what packages require.

    Parameters
    ----------
    partial : Partial
        Where families are listed and packages are read.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._families: dict[str, _Family] = {}
        self._required: dict[tuple[str, int], Slices] = {}
        self._slices: Slices = {}
        self._is_sure = True
        self._limits: dict[str, Requirement] = {}

    def begin(self, request: Iterable[Requirement]) -> bool:
        """Read what a solve of a request will probably look at; tell whether anything was listed or read."""
        before = self._partial.progress
        wanted = [one for one in request if is_valid_package_name(one.name)]
        self._limits = {one.name: one for one in wanted if one.conflict}
        slices = {one.name: self._family(one.name).mask(one) for one in wanted if not one.conflict}
        self._slices = self._narrowed({}, slices)
        self._settle_down(dict(self._slices))
        return self._partial.progress != before

    def go_on(self, touched: Mapping[str, Iterable[str]]) -> None:
        """Read on from packages that a solve came to, given by family and spelling of the version."""
        found = {name: self._family(name).mask_of(versions) for name, versions in touched.items()}
        slices = {**self._slices, **found}
        self._settle_down(self._narrowed(slices, found, keep=True))

    # --- the guess

    def _settle_down(self, slices: Slices) -> None:
        """Leave the newest package of one family after the other. A solve may go other ways."""
        names: list[str] = []
        n_done = 0
        self._is_sure = False
        try:
            while n_done < len(slices):
                # what has come is last; nobody goes, and an empty slice stays empty
                names += reversed(list(islice(reversed(slices), len(slices) - len(names))))
                name = names[n_done]
                n_done += 1
                if slices[name]:
                    newest = 1 << (slices[name].bit_length() - 1)
                    slices[name] = newest
                    self._narrowed(slices, self._likely(name, newest, slices))
        finally:
            self._is_sure = True

    def _narrowed(self, slices: Slices, found: Slices, *, keep: bool = False) -> Slices:
        """Narrow slices by what is found, and by what the packages that are left require, until nothing changes."""
        while found:
            changed = [name for name, mask in found.items() if self._narrow(slices, name, mask) or keep]
            keep = False
            found = {}
            for name in changed:
                for other, mask in self._common(name, slices[name]).items():
                    found[other] = found[other] & mask or found[other] if other in found else mask
        return slices

    def _narrow(self, slices: Slices, name: str, mask: int) -> bool:
        """Narrow one slice, unless nothing would be left; tell whether it is new or smaller."""
        known = slices.get(name)
        if known is None:
            limit = self._limits.get(name)
            slices[name] = (mask & self._family(name).mask(limit) if limit is not None else mask) or mask
            return True
        slices[name] = known & mask or known
        return slices[name] != known

    def _common(self, name: str, mask: int) -> Slices:
        """What all packages of a slice require. They are read."""
        found = self._required.get((name, mask))
        if found is None:
            family = self._family(name)
            variants = family.variants(mask, ahead=not self._is_sure)
            if not family.has_read(mask):
                return {}
            found = self._required[name, mask] = self._all_require(variants)
        return found

    def _all_require(self, variants: list[dict[str, list[Requirement]]]) -> Slices:
        if not variants:
            return {}
        names = [name for name in variants[0] if all(name in variant for variant in variants[1:])]
        found = {}
        for name in names:
            family = self._family(name)
            found[name] = 0
            for texts in {tuple(variant[name]) for variant in variants}:
                found[name] |= family.mask(*texts)
        return found

    def _likely(self, name: str, mask: int, slices: Slices) -> Slices:
        """What the first variant requires that goes with the slices."""
        variants = self._family(name).variants(mask, ahead=True)
        if len(variants) < 2:
            return self._common(name, mask)
        wanted = [self._all_require([variant]) for variant in variants]
        fitting = [one for one in wanted if all(slices.get(other, mask) & mask for other, mask in one.items())]
        return max(fitting or wanted, key=lambda one: sum(other in slices for other in one))

    def _family(self, name: str) -> _Family:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = _Family(self._partial, name)
        return family


class _Family:
    """The listed packages of a family, from the oldest to the newest."""

    def __init__(self, partial: Partial, name: str) -> None:
        partial.find(name)
        self._partial = partial
        self._name = name
        packages = partial.listings[name].packages
        places = [places_around(Version(listed.version)) for listed in packages]
        self._rows = sorted(range(len(packages)), key=places.__getitem__)
        self._starts = [places[row][0] for row in self._rows]
        self._ends = [places[row][1] for row in self._rows]
        self._bits = {packages[row].version: 1 << bit for bit, row in enumerate(self._rows)}
        self._masks: dict[str, int] = {}
        self._variants: dict[int, list[dict[str, list[Requirement]]]] = {}

    def mask(self, *requirements: Requirement) -> int:
        """The packages that some requirements allow."""
        found = (1 << len(self._rows)) - 1
        for requirement in requirements:
            found &= self._allowed(requirement)
        return found

    def _allowed(self, requirement: Requirement) -> int:
        text = str(requirement)
        found = self._masks.get(text)
        if found is None:
            found = 0
            for lower, upper in requirement.range.places if requirement.range is not None else ():
                first, last = bisect_left(self._starts, lower), bisect_right(self._ends, upper)
                if first < last:
                    found |= (1 << last) - (1 << first)
            if requirement.conflict:  # what is written of a weak one is its inverse
                found = ~found
            self._masks[text] = found
        return found

    def mask_of(self, versions: Iterable[str]) -> int:
        """The packages of some spellings of versions."""
        found = 0
        for version in versions:
            found |= self._bits.get(version, 0)
        return found

    def variants(self, mask: int, *, ahead: bool) -> list[dict[str, list[Requirement]]]:
        """What each variant of some packages requires, by family. The packages are read, see `Partial.read`."""
        bits = _bits_of(mask)
        self._partial.read(self._name, [self._rows[bit] for bit in bits], ahead=ahead)
        return [variant for bit in bits for variant in self._variants_of(bit)]

    def has_read(self, mask: int) -> bool:
        """Whether some packages have all been read."""
        return all(self._partial.package(self._name, self._rows[bit]) is not None for bit in _bits_of(mask))

    def _variants_of(self, bit: int) -> list[dict[str, list[Requirement]]]:
        found = self._variants.get(bit)
        if found is None:
            package = self._partial.package(self._name, self._rows[bit])
            if package is None:
                return []
            found = self._variants[bit] = requires_of(package)
        return found


def _bits_of(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def requires_of(package: PackageData) -> list[dict[str, list[Requirement]]]:
    """What each variant requires, by family; nothing if that is broken, of which the solve will tell."""
    common, own, *_ = package.found
    if isinstance(common, BrokenValue) or isinstance(own, BrokenValue):
        return []
    try:
        return [_by_family([*common, *texts]) for texts in own or ((),)]
    except (PackageRequestError, VersionError):
        return []


def _by_family(texts: Iterable[str]) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for requirement in map(parse_requirement, texts):
        if not requirement.conflict and is_valid_package_name(requirement.name):
            found.setdefault(requirement.name, []).append(requirement)
    return found
