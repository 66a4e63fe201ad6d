"""What rez itself does with a request as a whole: its context while it solves, and what it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

from rez import resolved_context
from rez.resolved_context import ResolvedContext
from rez.resolver import ResolverStatus

from rer_numba.packages import PackageData
from rer_numba.paths import read
from rer_numba.paths.states import old_release_files
from rer_numba.paths.static_package import CONSTANT
from rer_numba.rez_bridge.load import load_package


class _NoResolver:
    """Stands for rez's resolver, and leaves a context as it is before the solve."""

    status = ResolverStatus.pending
    solve_time = load_time = 0.0
    failure_description = graph = from_cache = None

    def __init__(self, **arguments: Any) -> None:
        pass

    def solve(self) -> None:
        pass


def unsolved_context_of_rez(requests: Sequence[Any], paths: Sequence[str], **options: Any) -> ResolvedContext:
    """A context that rez itself made, and that has not solved anything."""
    with patch.object(resolved_context, "Resolver", _NoResolver):
        return ResolvedContext(requests, package_paths=list(paths), **options)


@contextlib.contextmanager
def asking_at_once() -> Iterator[None]:
    """Let encoding ask rez at once what only the process knows: then tables can be compared with what rez loads."""

    def loaded(reader: Any, place: Any, entry: Any, reason: str, state: Any) -> Any:
        name, version = place.family.name, entry.version
        package = load_package(place.path, name, version, entry.folder, entry.file, entry.extension)
        assert isinstance(package, PackageData)
        reader._watch_release(place, entry, old_release_files(entry.folder))
        return package, read.Source(place.location, *state)

    with (
        patch.object(read._FamilyReader, "_mark", loaded),
        patch.object(read, "_combined_kind", lambda family: ("", CONSTANT)),
    ):
        yield
