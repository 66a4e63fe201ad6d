"""What is wrong with the packages of a repository: everything that a solve would raise when it touches it."""

from __future__ import annotations

from typing import NamedTuple

from rer_numba.packages import LATE, PROCESS
from rer_numba.reader import Reader
from rer_numba.schema import BUILDING, NONE, Tables


class Broken(NamedTuple):
    """A family, a package or a variant that cannot be used as it is.

    Attributes
    ----------
    name : str
        ``family``, ``family-version``, or ``family-version[index]``.
    uri : str or None
        The definition; None for a family.
    error_type, text : str
        Class name and text of what a solve raises.
    """

    name: str
    uri: str | None
    error_type: str
    text: str

    @property
    def is_late(self) -> bool:
        """True for what is not wrong, but only known during a solve: rez solves requests that meet it."""
        return self.error_type == LATE

    @property
    def is_of_process(self) -> bool:
        """True for what is not wrong, but only known in the process that solves: see `PackageData.of_process`."""
        return self.error_type == PROCESS


def broken_parts(tables: Tables) -> list[Broken]:
    """List everything that is broken, by family, newest version first; each error of a package once."""
    reader = Reader(tables)
    found = [
        Broken(reader.family_name(row), None, *reader.error(int(tables.family_error[row])))
        for row in (tables.family_error != NONE).nonzero()[0].tolist()
    ]
    seen = set()
    for package, error, variant in sorted(_errors(tables)):
        if (package, error) not in seen:
            seen.add((package, error))
            found.append(_of_package(reader, package, error, variant))
    return sorted(found, key=lambda broken: broken.name.partition("-")[0])


def _errors(tables: Tables) -> list[tuple[int, int, int]]:
    """(package, error, variant or NONE) of everything that packages and variants raise."""
    found = []
    for column in (tables.package_error, tables.package_timestamp_error):
        found += [(row, int(column[row]), NONE) for row in (column != NONE).nonzero()[0].tolist()]
    for prefix in ("", BUILDING):
        column = getattr(tables, f"{prefix}variant_error")
        found += [
            (int(tables.variant_package[row]), int(column[row]), row) for row in (column != NONE).nonzero()[0].tolist()
        ]
    return found


def _of_package(reader: Reader, package: int, error: int, variant: int) -> Broken:
    name = reader.package_family_name(package)
    version = reader.package_version(package)
    index = None if variant == NONE else reader.variant_index(variant)
    shown = f"{name}-{version}" if version else name
    return Broken(
        shown if index is None else f"{shown}[{index}]", reader.package_uri(package, name), *reader.error(error)
    )
