"""What is wrong with the packages of a repository: everything that a solve would raise when it touches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rer_numba.packages import LATE, PROCESS
from rer_numba.reader import Reader
from rer_numba.schema import BUILDING, NONE

if TYPE_CHECKING:
    from rer_numba.views import Views


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


def broken_parts(views: Views) -> list[Broken]:
    """List everything that is broken, by family, newest version first; each error of a package once."""
    reader = Reader(views)
    found = [
        Broken(reader.family_name(row), None, *reader.error(error)) for row, error in _not_none(views.family_error)
    ]
    seen = set()
    for package, error, variant in sorted(_errors(views)):
        if (package, error) not in seen:
            seen.add((package, error))
            found.append(_of_package(reader, package, error, variant))
    return sorted(found, key=lambda broken: broken.name.partition("-")[0])


def _errors(views: Views) -> list[tuple[int, int, int]]:
    """(package, error, variant or NONE) of everything that packages and variants raise."""
    found = []
    for column in (views.package_error, views.package_timestamp_error):
        found += [(row, error, NONE) for row, error in _not_none(column)]
    for prefix in ("", BUILDING):
        column = getattr(views, f"{prefix}variant_error")
        found += [(views.variant_package[row], error, row) for row, error in _not_none(column)]
    return found


def _not_none(column: memoryview[int]) -> list[tuple[int, int]]:
    """(row, number) of what a column has."""
    return [(row, number) for row, number in enumerate(column.tolist()) if number != NONE]


def _of_package(reader: Reader, package: int, error: int, variant: int) -> Broken:
    name = reader.package_family_name(package)
    version = reader.package_version(package)
    index = None if variant == NONE else reader.variant_index(variant)
    shown = f"{name}-{version}" if version else name
    return Broken(
        shown if index is None else f"{shown}[{index}]", reader.package_uri(package, name), *reader.error(error)
    )
