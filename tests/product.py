"""Our side of a comparison: cases and data sets handed to rer-numba."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rer_numba import PackageData, Repository
from rer_numba.errors import VersionError
from rer_numba.requirements import Requirement
from tests.case import Case

if TYPE_CHECKING:
    from tests.oracle import Answer, PackageLike


def package_data(package: PackageLike) -> PackageData:
    """Make our package of one of a case or of a data set."""
    return PackageData(
        package.name,
        package.version,
        package.requires,
        package.variants,
        build_requires=package.build_requires,
        timestamp=package.timestamp,
        uri=getattr(package, "uri", None),
    )


def repository_of(packages: Iterable[PackageLike], **options: Any) -> Repository:
    """Encode packages in the order they are in."""
    return Repository.from_packages(map(package_data, packages), **options)


def as_requests(texts: Sequence[str]) -> list[Requirement | str]:
    """Make requirements of texts, since a text may not say '!.feat'. One that can't be read stays a text."""
    return [_as_request(text) for text in texts]


def _as_request(text: str) -> Requirement | str:
    try:
        return Requirement(text)
    except VersionError:
        return text


def answer_of(repository: Repository, requests: Sequence[str], **options: Any) -> Answer:
    """Solve, and read everything a result has."""
    from tests.oracle import Answer  # which needs rez

    return Answer.of(repository.solve(as_requests(requests), **options))


def solve_case(case: Case) -> Answer:
    """Solve a case in a repository of its own, as the rez that is installed would."""
    import rez

    return answer_of(repository_of(case.packages), case.requests, rez_version=rez.__version__, **case.options)
