"""Large studios: departments, each built like rez's benchmark, with names and version numbers of its own.

Department 0 is rez's benchmark itself, package for package, so its requests can be asked of a studio of any size and
have one answer. Every other department has the same structure: as many families, versions, variants and requirements,
the same kinds of ranges, the same depth of dependencies. What differs:

* Its names carry its number, ``nail_07``. Families are sorted by name, so those of all departments lie mixed.
* Each of its families counts versions from another place: a number is added to the first part of every version,
  ``2.1.0`` becomes ``14.1.0``, in packages and in ranges alike. So versions and ranges become more as well.
* It shares the base of the studio: families that a quarter of all families require, and what those require. They
  exist once, in department 0, and all departments require them.

Everything follows from the packages and a seed: no clock, no random state, the same on every version of Python.
"""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rer_numba.benchmark_data import (
    PACKAGES_FILE,
    DataPackage,
    benchmark_tree,
    input_digests,
    iter_benchmark_packages,
    kept_folder,
)

SHARED_BY = 4
"""A family belongs to the base when at least one family in so many requires it."""
_HIGHEST = 97
_REQUIREMENT = re.compile(r"([!~]?)([\w.+]+)(.*)", re.DOTALL)
_VERSION = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
_NUMBER = re.compile(r"^\d+")  # also of ``2_``, which is how rez writes the end of 2


class Departments:
    """Makes the packages of any department.

    Parameters
    ----------
    packages : sequence of DataPackage
        Those of department 0, which all others are built like.
    seed : int
        Of the version numbers.

    Attributes
    ----------
    shared : frozenset of str
        The families of the base.
    """

    def __init__(self, packages: Sequence[DataPackage], seed: int = 0) -> None:
        self._packages = packages
        self._seed = seed
        self.shared = _base(packages)

    def packages(self, number: int) -> Iterator[DataPackage]:
        """The packages of a department, in the order of those of department 0."""
        if number == 0:
            yield from self._packages
            return
        dialect = _Dialect(number, self._seed, self.shared)
        for package in self._packages:
            if package.name not in self.shared:
                yield package._replace(
                    name=dialect.name(package.name),
                    version=dialect.version(package.name, package.version),
                    requires=list(map(dialect.requirement, package.requires)),
                    variants=[list(map(dialect.requirement, variant)) for variant in package.variants],
                    build_requires=list(map(dialect.requirement, package.build_requires)),
                )

    def request(self, texts: Iterable[str], number: int) -> list[str]:
        """A request to department 0, as another department says it."""
        return list(map(_Dialect(number, self._seed, self.shared).requirement, texts)) if number else list(texts)

    def resolved(
        self, packages: Iterable[tuple[str, str, int | None]], number: int
    ) -> tuple[tuple[str, str, int | None], ...]:
        """Packages (name, version, index) of department 0, as another department says it."""
        if number == 0:
            return tuple(packages)
        dialect = _Dialect(number, self._seed, self.shared)
        return tuple((dialect.name(name), dialect.version(name, version), index) for name, version, index in packages)


def departments_tree(cache_dir: str | Path, count: int) -> str:
    """Return the folder of a studio of so many departments, written below `cache_dir` unless that was done before.

    Takes 80 MB for each department on most disks. One department is rez's benchmark as rez wrote it.
    """
    if count == 1:
        return benchmark_tree(cache_dir)
    kept = Path(cache_dir) / f"rez-benchmark-{input_digests()[PACKAGES_FILE][:16]}-times-{count}"
    kept_folder(kept, lambda folder: _write_departments(folder, count))
    return str(kept / "packages")


def _write_departments(folder: str, count: int) -> None:
    departments = Departments(list(iter_benchmark_packages()))
    for number in range(count):
        for package in departments.packages(number):
            place = os.path.join(folder, "packages", package.name, package.version)
            os.makedirs(place)
            with open(os.path.join(place, "package.py"), "w", encoding="utf-8") as stream:
                stream.writelines(f"{key} = {value!r}\n" for key, value in package._asdict().items() if value)


class _Dialect:
    """How a department says what department 0 says."""

    def __init__(self, number: int, seed: int, shared: frozenset[str]) -> None:
        self._number = number
        self._seed = seed
        self._shared = shared
        self._known: dict[str, str] = {}  # requirements are few, and come often

    def name(self, family: str) -> str:
        """A family, or an ephemeral."""
        return family if family in self._shared else f"{family}_{self._number:02d}"

    def version(self, family: str, text: str) -> str:
        """A version of a family."""
        return text if family in self._shared else self._moved(text, self._distance(family))

    def requirement(self, text: str) -> str:
        """A requirement, or a request."""
        found = self._known.get(text)
        if found is None:
            sign, family, versions = _split(text)
            if family not in self._shared:
                distance = self._distance(family)
                versions = _VERSION.sub(lambda match: self._moved(match[0], distance), versions)
            found = self._known[text] = f"{sign}{self.name(family)}{versions}"
        return found

    def _distance(self, family: str) -> int:
        return 1 + zlib.crc32(f"{self._seed}/{self._number}/{family}".encode()) % _HIGHEST

    @staticmethod
    def _moved(version: str, distance: int) -> str:
        """A version, counted from another place. One that begins with letters stays: letters sort before numbers."""
        return _NUMBER.sub(lambda match: f"{int(match[0]) + distance:0{len(match[0])}d}", version, count=1)


def _split(text: str) -> tuple[str, str, str]:
    """Sign, name, and the rest of a requirement."""
    match = _REQUIREMENT.fullmatch(text)
    assert match is not None, text
    return match[1], match[2], match[3]


def _base(packages: Sequence[DataPackage]) -> frozenset[str]:
    """The families that one family in `SHARED_BY` requires, and all that those require."""
    required: dict[str, set[str]] = {}
    for package in packages:
        lists = (package.requires, package.build_requires, *package.variants)
        required.setdefault(package.name, set()).update(_split(text)[1] for texts in lists for text in texts)
    users = Counter(name for family, names in required.items() for name in names - {family})
    pending = [name for name in required if users[name] * SHARED_BY >= len(required)]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += required.get(name, ())
    return frozenset(found)
