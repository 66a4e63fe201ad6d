"""What differs between the versions of rez, as far as it acts on a solve or on what is called of rez.

The solver has been the same since 2.114. What orderers mean has changed twice, and some things are there only from a
version on. Everything that depends on the version of rez is a trait in this table; nothing else compares versions.

A version later than `NEWEST` is taken for `NEWEST` if the files that decide about a solve are the same, byte by byte;
else it is unknown, and rez solves by itself.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple


class OrderMeaning(Enum):
    """What package orderers do.

    Attributes
    ----------
    LISTS
        They put a list of packages in order. The first one counts that gives a list; ``packages`` of an orderer does
        not count; variants are sorted by the ranges themselves.
    RAISING_KEYS
        They make keys, for versions and for the ranges that variants require. A reversed version raises when it meets
        something else, and so the versions are compared, also for being equal.
    KEYS
        The same, but a reversed version is different from anything else.
    """

    LISTS = "lists"
    RAISING_KEYS = "raising keys"
    KEYS = "keys"


class Traits(NamedTuple):
    """What a version of rez is like.

    Attributes
    ----------
    since : tuple of int
        The first version that is so.
    orders : OrderMeaning
        What package orderers do.
    configured_orders_sort_variants : bool
        A solver that is given no orderers sorts variants by those of the configuration.
    knows_testing : bool
        A context says whether it is one for tests, and packages may ask.
    """

    since: tuple[int, ...]
    orders: OrderMeaning
    configured_orders_sort_variants: bool
    knows_testing: bool


TRAITS: Final = (
    Traits((3, 4), OrderMeaning.KEYS, True, True),
    Traits((3, 2), OrderMeaning.RAISING_KEYS, True, True),
    Traits((3, 1), OrderMeaning.RAISING_KEYS, True, False),
    Traits((2, 114), OrderMeaning.LISTS, False, False),
)
"""The newest first."""

OLDEST: Final = "2.114"
NEWEST: Final = "3.4.0"

_DECIDING: Final = (
    "solver.py",
    "package_order.py",
    "package_filter.py",
    "version/_version.py",
    "version/_requirement.py",
    "version/_util.py",
)
"""The files of rez that decide about a solve: solver, orderers, filters and versions."""

_KNOWN_SOURCES: Final = {
    "456fda3c435c0d78e944edf2ca51834ec6610e139a03b6ac3d165ee835ab36af": "3.4.0",
    "fff7f9ff5c83f2beb7ca1c28938f790d5db698cd79b4e0570c42c77e778036d8": "3.3.0",
}
"""Checksum of those files, see `sources_checksum` -> a version that has them."""


@lru_cache(maxsize=64)
def traits_of(version: str | None, folder: str | None = None) -> Traits | None:
    """Find out what a version of rez is like.

    Parameters
    ----------
    version : str or None
        As ``rez.__version__`` has it. None: `NEWEST`.
    folder : str, optional
        Where it is installed, so that one later than `NEWEST` can be known by its files.

    Returns
    -------
    Traits or None
        None for a version whose solver ours is not known to be equal to.
    """
    numbers = _numbers(NEWEST if version is None else version)
    if numbers is not None and numbers > _numbers_of_newest():
        known = None if folder is None else _KNOWN_SOURCES.get(sources_checksum(folder) or "")
        numbers = None if known is None else _numbers(known)
    if numbers is None:
        return None
    return next((traits for traits in TRAITS if numbers >= traits.since), None)


def order_meaning(version: str | None) -> OrderMeaning:
    """What package orderers do in a version of rez; None: in the newest. Unknown ones count as the newest."""
    traits = traits_of(version)
    return OrderMeaning.KEYS if traits is None else traits.orders


def version_with(meaning: OrderMeaning) -> str:
    """The first version of rez whose orderers have a meaning."""
    return ".".join(map(str, next(traits.since for traits in reversed(TRAITS) if traits.orders is meaning)))


def is_too_old(version: str) -> bool:
    """Tell whether a version is older than what we can ask."""
    numbers = _numbers(version)
    return numbers is not None and numbers < TRAITS[-1].since


def unsupported(version: str) -> str:
    """Say that a version of rez is none whose solver ours is known to be equal to, and what to do."""
    if is_too_old(version):
        return f"rez {version} is older than {OLDEST}, the first that rer-numba works with: upgrade rez"
    known = f"one of {OLDEST} to {NEWEST}, whose solver ours is known to be equal to"
    return f"rez {version} is not {known}: upgrade rer-numba"


def sources_checksum(folder: str) -> str | None:
    """The checksum of the files of rez that decide about a solve; None if one cannot be read.

    Parameters
    ----------
    folder : str
        Where the package `rez` is installed.
    """
    from hashlib import sha256  # which loads OpenSSL; only for a version that nobody knows

    checksum = sha256()
    for name in _DECIDING:
        try:
            with open(os.path.join(folder, *name.split("/")), "rb") as file:
                checksum.update(file.read().replace(b"\r\n", b"\n"))
        except OSError:
            return None
    return checksum.hexdigest()


def _numbers(version: str) -> tuple[int, ...] | None:
    """The leading numbers of a version: (3, 4, 0) of "3.4.0" and of "3.4.0.post1"."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else None


def _numbers_of_newest() -> tuple[int, ...]:
    numbers = _numbers(NEWEST)
    assert numbers is not None
    return numbers
