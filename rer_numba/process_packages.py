"""Packages that say something else in each process, evaluated in this one.

Their files read environment variables, the platform, other files and the like, or could. An encoded repository stores a
mark in their place (`rer_numba.packages.PackageData.of_process`); what they say is asked of rez, in the process that
solves, and kept as long as rez itself keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rer_numba.errors import NeedsRezError
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.rez_bridge import presence

if TYPE_CHECKING:
    from rer_numba.paths.settings import PathSettings
    from rer_numba.snapshot import Solve


def evaluate(location: str, name: str, version: str, mark: BrokenValue, uri: str | None) -> PackageData:
    """Evaluate a package in this process.

    Parameters
    ----------
    location : str
        The path it lies on, as a path of rez's.
    name, version : str
        Version as its folder is called; '' for a package without one.
    mark : BrokenValue
        What stands for it in the encoded repository, which says what it reads.
    uri : str or None
        Its definition file.

    Returns
    -------
    PackageData
        What rez finds. What cannot be read is in it as `BrokenValue`, with the class and text of what rez raises; of
        all attributes, where rez is not installed, or too old.
    """
    remedy = presence.remedy()
    if remedy is not None:
        return PackageData.unreadable(name, version, _without_rez(mark, remedy), uri)
    from rer_numba.rez_bridge.evaluation import evaluated

    return evaluated(location, name, version, uri)


def evaluate_family(
    location: str, name: str, mark: BrokenValue, settings: PathSettings
) -> list[PackageData] | BrokenValue:
    """Evaluate all packages of a family that is one file.

    Parameters
    ----------
    location, name, mark
        As for `evaluate`.
    settings : PathSettings
        How rez reads folders.

    Returns
    -------
    list of PackageData, or BrokenValue
        In rez's order; or what listing the family raises.
    """
    remedy = presence.remedy()
    if remedy is not None:
        return _without_rez(mark, remedy)
    from rer_numba.rez_bridge.evaluation import evaluated_family

    return evaluated_family(location, name, allow_unversioned=settings.allow_unversioned_packages)


def unknown_time(marks: frozenset[int], solve: Solve) -> tuple[str, str] | None:
    """The error of a package whose release time an orderer went by, though only the process that asks knows it.

    All else that a solve looks at in such a package ends it.

    Parameters
    ----------
    marks : frozenset of int
        `Snapshot.marks`.
    solve : Solve
        After it ran, with an orderer that goes by release times.
    """
    if not marks:
        return None
    found = solve.looked_at()
    column = solve.view.views.package_timestamp_error
    errors = (column[package] for package in (*found.packages, *found.hidden))
    row = next((error for error in errors if error in marks), None)
    return None if row is None else solve.view.reader.error(row)


def _without_rez(mark: BrokenValue, remedy: str) -> BrokenValue:
    return BrokenValue(NeedsRezError.__name__, f"{mark.text}; only rez can do that: {remedy}")
