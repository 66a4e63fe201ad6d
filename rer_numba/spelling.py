"""How versions are spelled: '1.0' and '1-0' are one version, and a text about it shows one of them.

Which one must not depend on the order in which packages were read: with dots if anybody who uses the version spells it
so, else the first by the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rer_numba.range_text import NEXT_SUFFIX
from rer_numba.version_order import version_key

_VERSION = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
_SEPARATOR = re.compile(r"[^A-Za-z0-9_]")
_ODD = re.compile(r"[^A-Za-z0-9_.]")


class Spellings:
    """Collects who spells which version how.

    Parameters
    ----------
    keys : sequence of bytes
        Sort keys of the versions; a version is named by its place here.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self._dotted: set[int] = set()
        self._odd: dict[int, set[str]] = {}

    def add(self, version: int, text: str) -> None:
        """Note how somebody spells a version."""
        if _ODD.search(text):
            self._odd.setdefault(version, set()).add(text)
        else:
            self._dotted.add(version)

    def add_range(self, bounds: Iterable[int], text: str) -> None:
        """Note how the bounds of a range are spelled in its text."""
        spelled = {}
        for found in _VERSION.findall(text):
            for bound in (found, found + NEXT_SUFFIX):  # what starts with a version ends just before the latter
                spelled[version_key(bound)] = bound
        for version in bounds:
            self.add(version, spelled.get(self._keys[version], ""))

    def add_dotted(self, versions: Iterable[int]) -> None:
        """Note that somebody spells each of these with dots."""
        self._dotted.update(versions)

    def spelled(self, version: int, text: str) -> str:
        """The spelling of a version; `text` is any one of it."""
        if version in self._odd and version not in self._dotted:
            return min(self._odd[version])
        return _SEPARATOR.sub(".", text) if _ODD.search(text) else text
