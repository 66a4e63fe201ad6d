"""Packages to tables: every version a rank, every range an id, every requirement a mask.

`rer_numba.draft` parses and merges, `rer_numba.link` does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from rer_numba.draft import NOWHERE, FactsDraft, Source
from rer_numba.facts import Facts
from rer_numba.garbage import no_collection
from rer_numba.link import link
from rer_numba.packages import PackageData
from rer_numba.schema import Tables

__all__ = ["NOWHERE", "FactsDraft", "Source", "encode", "facts_of"]


def encode(packages: Iterable[PackageData]) -> Tables:
    """Encode packages.

    Parameters
    ----------
    packages : iterable of PackageData
        In the order rez would list them. Of two with equal name and version the first counts.

    Returns
    -------
    Tables

    Notes
    -----
    Nothing here raises: bad requirements and versions are kept for the solve that touches them, and a package whose
    name no package can have is left out, since nobody can ask for it.
    """
    return link([facts_of(packages)])


def facts_of(packages: Iterable[PackageData]) -> Facts:
    """Read packages: the first half of encoding them. Of two with equal name and version the first counts."""
    draft = FactsDraft()
    with no_collection():
        for given, package in enumerate(packages):
            draft.add(package, given)
        return draft.facts()
