"""What a solve touches, as live rez does it and as we say it: families listed, packages loaded, packages hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from rez import solver as rez_solver
from rez.package_filter import PackageFilterList
from rez.packages import Package

from rer_numba import Repository, snapshot
from rer_numba.engine import Session
from rer_numba.touched import Touched, touched
from tests.oracle import Answer, RezOracle
from tests.product import answer_of

PackageName = tuple[str, str]


class Seen(NamedTuple):
    """`rer_numba.touched.Touched` with names."""

    families: list[str]
    packages: list[PackageName]
    hidden: list[PackageName]


def seen_by_rez(oracle: RezOracle, requests: Sequence[str], **options: Any) -> tuple[Answer, Seen]:
    """Solve with rez and watch it. A family that rez lists again, since it was not there, counts once."""
    with _watch_rez() as seen:
        answer = oracle.solve(requests, **options)
    return answer, seen._replace(families=list(dict.fromkeys(seen.families)))


@contextmanager
def _watch_rez() -> Iterator[Seen]:
    seen = Seen([], [], [])
    list_packages = rez_solver._PackageVariantList.__init__
    make_solver = rez_solver.Solver.__init__
    excludes = PackageFilterList.excludes

    def watched_list(self: Any, package_name: str, solver: Any) -> None:
        seen.families.append(package_name)
        list_packages(self, package_name, solver)

    def watched_solver(self: Any, *args: Any, **options: Any) -> None:
        make_solver(self, *args, **options, package_load_callback=lambda package: seen.packages.append(_name(package)))

    def watched_filter(self: Any, package: Package) -> Any:
        seen.hidden.append(_name(package))
        rule = excludes(self, package)
        if not rule:
            seen.hidden.pop()
        return rule

    with (
        patch.object(rez_solver._PackageVariantList, "__init__", watched_list),
        patch.object(rez_solver.Solver, "__init__", watched_solver),
        patch.object(PackageFilterList, "excludes", watched_filter),
    ):
        yield seen


def _name(package: Package) -> PackageName:
    return package.name, str(package.version)


def seen_by_us(repository_: Repository, requests: Sequence[str], **options: Any) -> tuple[Answer, Seen]:
    """Solve, and read what was touched before the work arrays go back."""
    found: list[Touched] = []
    give_back = snapshot._View.give_back

    def watched(view: Any, session: Session) -> None:
        found.append(touched(session))
        give_back(view, session)

    with patch.object(snapshot._View, "give_back", watched):
        answer = answer_of(repository_, requests, **options)
    # the text of a failure takes another solve; a request that contradicts itself takes none
    return answer, with_names(repository_, found[0] if found else Touched([], [], []))


def with_names(repository_: Repository, found: Touched) -> Seen:
    """Names for numbers."""
    reader = repository_._snapshot.view(False).reader

    def name(package: int) -> PackageName:
        return reader.package_family_name(package), reader.package_version(package)

    families = [family if isinstance(family, str) else reader.family_name(family) for family in found.families]
    return Seen(families, list(map(name, found.packages)), list(map(name, found.hidden)))
