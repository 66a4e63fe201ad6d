"""A case asked twice, of rez and of us: what differs, made small and printed so that it can be pasted.

Where rez dies of a defect of its own there is nothing to be equal to. Then we must give an answer all the same, and one
that makes sense: a solution satisfies every requirement, an error is one of `REZ_ERRORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from rez.version import Requirement, RequirementList, Version, VersionError

from tests.case import Case, Package, format_case, shrink
from tests.oracle import Answer, ask_rez
from tests.product import solve_case

RAISED = "raised"
"""Status of ours that must never be: an exception came out of the solve, or out of the encoder."""

REZ_ERRORS = (
    "PackageFamilyNotFoundError",
    "PackageMetadataError",
    "PackageNotFoundError",
    "PackageRequestError",
    "ResolveError",
    "VersionError",
)
"""Classes of the errors that a solve may report."""

_SHRINK_TESTS = 1500


@dataclass(frozen=True)
class Difference:
    """A case that the two disagree about.

    Attributes
    ----------
    what
        Names of the fields of `Answer` that differ; or, where rez died, what is wrong with our answer.
    """

    case: Case
    rez: Answer
    ours: Answer
    what: tuple[str, ...]

    def is_like(self, other: Difference | None) -> bool:
        """True for a difference of the same kind, as `shrink` needs it."""
        return other is not None and self._kind() == other._kind()

    def _kind(self) -> tuple[object, ...]:
        return (self.what, self.rez.status, self.rez.error_type, self.ours.status, self.ours.error_type)

    def __str__(self) -> str:
        return (
            f"{self.case.origin}: {', '.join(self.what)} differ\n\n{format_case(self.case)}\n"
            f"rez   {self.rez}\nours  {self.ours}"
        )


def our_answer(case: Case) -> Answer:
    """Solve a case; an exception becomes an answer that equals no other."""
    try:
        return solve_case(case)
    except Exception as error:  # noqa: BLE001  (whatever is raised is the finding)
        return Answer(RAISED, error_type=type(error).__name__, failure_description=str(error))


def find_difference(case: Case) -> Difference | None:
    """Ask both; None when all is well."""
    rez = ask_rez(case.packages, case.requests, **case.options)
    ours = our_answer(case)
    what = _unequal(rez, ours)
    if what and rez_died(rez):
        what = _nonsense(case, ours)
    if what and is_left_to_rez(ours):
        what = () if ours.status == RAISED else tuple(name for name in what if name != "failure_description")
    return Difference(case, rez, ours, what) if what else None


def is_left_to_rez(ours: Answer) -> bool:
    """True where only rez can follow an order, up to rez 3.0; a failure may lack nothing but its text.

    Behind rez it is rez that solves then: see `tests.test_rez_underneath`.
    """
    return "which only rez itself can follow" in (ours.failure_description or "")


def rez_died(rez: Answer) -> bool:
    """True for a defect of rez's own: not for the VersionError of a text that is no version or range."""
    return rez.internal and (rez.error_type != "VersionError" or rez.failure_description == "Invalid bound")


def _unequal(rez: Answer, ours: Answer) -> tuple[str, ...]:
    if rez.tier_b() == ours.tier_b():
        return ()
    names = [field.name for field in fields(Answer) if field.name not in ("internal", "failure_kind")]
    return tuple(name for name in names if getattr(rez, name) != getattr(ours, name))


def _nonsense(case: Case, ours: Answer) -> tuple[str, ...]:
    if ours.status == "solved":
        return tuple(violations(case, ours))
    if ours.status == "error":
        return () if ours.error_type in REZ_ERRORS else ("error_type",)
    return () if ours.status == "failed" else ("status",)


def violations(case: Case, answer: Answer) -> list[str]:
    """What a solution leaves unsatisfied, by rez's own reading of versions and ranges."""
    wanted = [("the request", text) for text in case.requests]
    for name, version, index in answer.resolved:
        wanted += [(f"{name}-{version}", text) for text in _requires(case, name, version, index)]
    versions = {name: Version(version) for name, version, _ in answer.resolved}
    ephemerals = {text.name: text for text in map(Requirement, answer.resolved_ephemerals)}
    found = []
    for source, text in wanted:
        requirement = Requirement(text)
        if requirement.name.startswith("."):
            if not _ephemeral_fits(requirement, ephemerals.get(requirement.name)):
                found.append(f"{text} of {source}")
        elif not _version_fits(requirement, versions.get(requirement.name)):
            found.append(f"{text} of {source}")
    return found


def _requires(case: Case, name: str, version: str, index: int | None) -> list[str]:
    package: Package = next(p for p in case.packages if p.name == name and Version(p.version) == Version(version))
    build = package.build_requires if case.options.get("building") else []
    return [*package.requires, *(package.variants[index] if index is not None else []), *build]


def _version_fits(requirement: Requirement, version: Version | None) -> bool:
    if version is None:
        return bool(requirement.conflict)
    return requirement.range is None or (version in requirement.range) is not requirement.conflict


def _ephemeral_fits(requirement: Requirement, ephemeral: Requirement | None) -> bool:
    if ephemeral is None:
        return bool(requirement.conflict)
    try:
        return RequirementList([requirement, ephemeral]).conflict is None
    except VersionError:
        return True  # rez cannot merge them


def assert_equal(case: Case, find: Callable[[Case], Difference | None] = find_difference) -> None:
    """Compare, and report a difference as a small case."""
    found = find(case)
    if found is None:
        return
    small = shrink(case, lambda candidate: found.is_like(find(candidate)), max_tests=_SHRINK_TESTS)
    raise AssertionError(str(find(small) or found))
