"""Numbers for distinct things, and what the columns of packages are called before they are tables. Without numpy."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

Error = tuple[str, str]
"""Class name and text of what rez raises."""

PACKAGE_FACTS: dict[str, tuple[str, str]] = {
    # name: numpy type, what its values number ("" for plain numbers)
    "name": ("int32", "name"),
    "version": ("int32", "version"),
    "version_text": ("int32", "text"),
    "given": ("int64", ""),  # ascending in the order in which rez lists the packages of a family
    "indexed": ("uint8", ""),
    "variants": ("int32", ""),  # how many
    "uri_text": ("int32", "text"),
    "uri_tail_text": ("int32", "text"),
    "timestamp": ("int64", ""),
    "timestamp_error": ("int32", "error"),
    "error": ("int32", "error"),
    "location": ("int32", ""),
    "inode": ("int64", ""),
    "mtime": ("int64", ""),
    "size": ("int64", ""),
    "ctime": ("int64", ""),
}


class Numbered(Generic[T]):
    """Numbers for distinct things, counted from 0 as they come."""

    def __init__(self, things: Iterable[T] = ()) -> None:
        self.ids: dict[T, int] = {}
        for thing in things:
            self.add(thing)

    def add(self, thing: T) -> int:
        """The number of a thing."""
        return self.ids.setdefault(thing, len(self.ids))

    def __iter__(self) -> Iterator[T]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)
