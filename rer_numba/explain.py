"""Why a solve failed, in rez's words: from the state in which the kernel left the work arrays.

Ports: the texts of rez.solver.DependencyConflicts, TotalReduction and Cycle, and of the exceptions a solve raises (rez
3.4.0). Ranges are put together again from the requirements' own texts, so that they are spelled as rez spells them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rer_numba import state
from rer_numba.policy import Places
from rer_numba.reader import Reader
from rer_numba.requests import EncodedRequest
from rer_numba.requirements import Requirement, VersionedObject, is_valid_package_name
from rer_numba.schema import NONE
from rer_numba.state import Work
from rer_numba.version_order import Version
from rer_numba.versions import VersionRange

UNKNOWN_REASON = "Solver failed with unknown reason."


def dependency_conflict(dependency: Requirement, conflicting: Requirement) -> str:
    """The failure text of a single conflict."""
    return f"The following package conflicts occurred: ({dependency} <--!--> {conflicting})"


@dataclass
class Reduction:
    """A variant that was removed, the requirement of it that was in conflict, and with what."""

    name: str
    version: Version
    index: int | None
    dependency: Requirement
    conflicting: Requirement

    def __str__(self) -> str:
        package = VersionedObject.construct(self.name, self.version)
        index = "" if self.index is None else self.index
        return f"{package}[{index}] (dep({self.dependency}) <--!--> {self.conflicting})"


class Explainer:
    """Reads the work arrays after a solve stopped, and says why.

    Parameters
    ----------
    reader : Reader
        Of the repository, for the same set of requirements.
    request : EncodedRequest
    work : Work
        As the kernel left them.
    paths : str
        What was searched, for the texts.
    places : Places, optional
        Place of each package in its family's order of preference, when an orderer made one.
    """

    def __init__(
        self, reader: Reader, request: EncodedRequest, work: Work, paths: str, places: Places | None = None
    ) -> None:
        self.reader = reader
        self.request = request
        self.work = work
        self.head = work.head
        self.paths = paths
        self.places = places

    # --- failures

    def failure(self) -> str:
        """The description of the failed phase."""
        reason = self.head[state.REASON]
        if reason == state.MERGE_CONFLICT:
            last = int(self.head[state.REASON_OTHER])
            return dependency_conflict(self._merged(self._family(), last), self._contribution(last))
        if reason == state.SCOPE_CONFLICT:
            position = int(self.head[state.REASON_SCOPE])
            return dependency_conflict(self._merged(self._family()), self.scope_request(position))
        if reason == state.TOTAL_REDUCTION:
            return "A package was completely reduced: " + " ".join(f"({item})" for item in self.reductions())
        return UNKNOWN_REASON

    def _family(self) -> int:
        return int(self.head[state.REASON_FAMILY])

    def _name(self, family: int) -> str:
        if family < self.reader.n_families:
            return self.reader.family_name(family)
        return self.request.requirements[self.request.families.index(family)].name

    def scope_request(self, position: int) -> Requirement:
        """What a scope still allows, as a requirement."""
        work = self.work
        slot = int(work.scope_slot[position])
        if work.slot_request[slot] != NONE:
            return self.request.requirements[int(work.slot_request[slot])]
        family = int(work.scope_family[position])
        if work.slot_kind[slot] == state.SLICE:
            packages = dict.fromkeys(self.reader.variant_package(variant) for variant in self.slice_variants(position))
            versions = [self.reader.version_of(package) for package in packages]
            return Requirement.construct(self._name(family), VersionRange.from_versions(versions))
        return self.ephemeral(position)

    def ephemeral(self, position: int) -> Requirement:
        """The requirement of an ephemeral scope."""
        work = self.work
        slot = int(work.scope_slot[position])
        if work.slot_request[slot] != NONE:
            return self.request.requirements[int(work.slot_request[slot])]
        start = int(work.slot_data[slot])
        cuts = work.cut[start : start + int(work.slot_count[slot])].tolist()
        return Requirement.construct(
            self._name(int(work.scope_family[position])), self.reader.range_of_cuts(cuts, self.request.unseen)
        )

    def slice_variants(self, position: int) -> list[int]:
        """The variants of a scope's slice, by number."""
        work = self.work
        return self._slot_variants(int(work.scope_family[position]), int(work.scope_slot[position]))

    def _slot_variants(self, family: int, slot: int) -> list[int]:
        data = int(self.work.slot_data[slot])
        return self.reader.mask_variants(family, self.work.word, data)

    # --- what was extracted

    def _round(self, family: int) -> Iterator[int]:
        """The contributions to a family in the last round."""
        for n in range(self.head[state.ROUND_START], self.head[state.N_CONTRIBUTIONS]):
            if self.work.contribution_family[n] == family:
                yield n

    def _contribution(self, n: int) -> Requirement:
        """One extraction: the union of what the variants of a slice ask of the family."""
        family = int(self.work.contribution_family[n])
        return Requirement.construct(self._name(family), self._contribution_range(n))

    def _contribution_range(self, n: int) -> VersionRange:
        other = int(self.work.contribution_family[n])
        source = int(self.work.scope_family[self.work.contribution_scope[n]])
        asked: dict[VersionRange, None] = {}
        for variant in self._slot_variants(source, int(self.work.contribution_slot[n])):
            requirement = self.reader.variant_requirement_on(variant, other)
            assert requirement is not None and requirement.range is not None
            asked.setdefault(requirement.range)
        first, *others = asked
        return first.union(others)

    def _merged(self, family: int, before: int | None = None) -> Requirement:
        """The contributions of the round on a family, merged; only those before `before` when it is given."""
        merged: Requirement | None = None
        for n in self._round(family):
            if n == before:
                break
            contribution = self._contribution(n)
            merged = contribution if merged is None else merged.merged(contribution)
            assert merged is not None
        assert merged is not None
        return merged

    # --- total reductions

    def reductions(self) -> list[Reduction]:
        """All variants of the slice that was emptied, in the order in which rez lists them."""
        position = int(self.head[state.REASON_SCOPE])
        other = int(self.head[state.REASON_OTHER])
        conflicting = self.scope_request(other)
        other_family = int(self.work.scope_family[other])
        family = int(self.work.scope_family[position])
        found = []
        for variant in Listing(self.reader, self.work, family, self.places).variants(
            int(self.work.scope_slot[position])
        ):
            package = self.reader.variant_package(variant)
            dependency = self.reader.variant_requirement_on(variant, other_family)
            assert dependency is not None
            found.append(
                Reduction(
                    self._name(family),
                    self.reader.version_of(package),
                    self.reader.variant_index(variant),
                    dependency,
                    conflicting,
                )
            )
        return found

    # --- cycles

    def cycle(self) -> str:
        """The description of a cycle.

        REZ-QUIRK: where a cycle begins depends on the order of Python sets of names, so the same sets are made here:
        equal to rez in the same process (test_differential.py).
        """
        packages = {}
        nodes = set()
        edges = set()
        for position in range(self.head[state.N_SCOPES]):
            slot = self.work.scope_slot[position]
            if self.work.slot_kind[slot] == state.CONFLICT_RANGE:
                continue
            name = self._name(int(self.work.scope_family[position]))
            nodes.add(name)
            if self.work.slot_kind[slot] == state.SLICE:
                (variant,) = self.slice_variants(position)
                packages[name] = self.reader.package_version(self.reader.variant_package(variant))
                for requirement in self.reader.variant_requirements(variant):
                    if not requirement.conflict:
                        edges.add((name, requirement.name))
        neighbours: dict[str, list[str]] = {name: [] for name in nodes}
        for name, other in edges:
            neighbours[name].append(other)
        cycle = [str(VersionedObject.construct(name, Version(packages[name]))) for name in find_cycle(neighbours)]
        return "A cyclic dependency was detected: " + " --> ".join([*cycle, cycle[0]])

    # --- errors

    def error(self) -> tuple[str, str]:
        """(class name, text) of the exception that rez raises."""
        reason = self.head[state.REASON]
        name = self._name(self._family())
        if reason == state.FAMILY_NOT_FOUND and not is_valid_package_name(name):
            return "PackageRequestError", f"Not a valid package name: {name!r}"
        if reason == state.UNLISTED_FAMILY:
            return self.reader.error(self.reader.family_error(self._family()))
        if reason == state.FAMILY_NOT_FOUND:
            return "PackageFamilyNotFoundError", self._family_not_found()
        if reason == state.PACKAGE_NOT_FOUND:
            return "PackageNotFoundError", f"Package could not be found: {self._wanted()}"
        if reason == state.BROKEN_PACKAGE:
            return self.reader.error(self._broken_package())
        return self.reader.error(self._broken_variant())

    def _family_not_found(self) -> str:
        family = self._family()
        name = self._name(family)
        if self.head[state.REASON_OTHER] != state.REQUIRED:
            return f"package family not found: {name} (searched: {self.paths})"
        n = int(self.head[state.N_CONTRIBUTIONS])
        sources = {
            self._name(int(self.work.scope_family[self.work.contribution_scope[k]])): None
            for k in range(n)
            if self.work.contribution_family[k] == family
        }
        return f"package family not found: {name}, was required by: {', '.join(sources)} (searched: {self.paths})"

    def _wanted(self) -> Requirement:
        if self.head[state.REASON_OTHER] == state.REQUESTED:
            requirement = self.request.requirements[int(self.head[state.REASON_SCOPE])]
            return Requirement.construct(requirement.name, requirement.range)
        return self._merged(self._family())

    def _broken_package(self) -> int:
        """The error of the first package, in the given order, that cannot be loaded among those looked at."""
        family = self._family()
        variants = self.reader.mask_variants(family, self.work.scratch, 0)
        broken = {p for p in map(self.reader.variant_package, variants) if self.reader.package_error(p) != NONE}
        return self.reader.package_error(min(broken, key=self.reader.given_rank))

    def _broken_variant(self) -> int:
        """The error of the first variant, in the given order, whose requirements conflict."""
        variants = self.slice_variants(int(self.head[state.REASON_SCOPE]))
        broken = [variant for variant in variants if self.reader.variant_error(variant) != NONE]
        return self.reader.variant_error(
            min(broken, key=lambda variant: (self.reader.given_rank(self.reader.variant_package(variant)), variant))
        )


class Listing:
    """The order in which rez lists the variants of a slice.

    rez sorts late: packages by version when a slice is split, variants within a package when the package is first in a
    slice that is looked at, or when a split passes it. A package whose variants are all there shares its list with
    every other slice, so sorting it once sorts it everywhere. The slots of a family are gone through in the order in
    which they were made, up to the one asked for.
    """

    def __init__(self, reader: Reader, work: Work, family: int, places: Places | None = None) -> None:
        self.reader = reader
        self.work = work
        self.family = family
        self._place = self._newest_first if places is None else places.__getitem__
        self._shared: set[int] = set()
        # slot -> is it sorted by version; slot -> packages with a list of their own -> is that list sorted
        self._by_version: dict[int, bool] = {}
        self._own: dict[int, dict[int, list[bool]]] = {}

    def variants(self, slot: int) -> list[int]:
        """The variants of a slot as rez would list them."""
        chain = [slot]
        while self.work.slot_parent[chain[-1]] != NONE:
            chain.append(int(self.work.slot_parent[chain[-1]]))
        for made in reversed(chain):
            self._follow(made)
        return [variant for package in self._packages(slot) for variant in self._listed(slot, package)]

    def _members(self, slot: int) -> dict[int, list[int]]:
        """Package -> its variants in a slot."""
        found: dict[int, list[int]] = {}
        for variant in self.reader.mask_variants(self.family, self.work.word, int(self.work.slot_data[slot])):
            found.setdefault(self.reader.variant_package(variant), []).append(variant)
        return found

    def _packages(self, slot: int) -> list[int]:
        packages = list(self._members(slot))
        return sorted(packages, key=self._place if self._by_version[slot] else self.reader.given_rank)

    @staticmethod
    def _newest_first(package: int) -> int:
        return package

    def _listed(self, slot: int, package: int) -> list[int]:
        own = self._own[slot].get(package)
        members = self._members(slot)[package]
        in_order = own[0] if own else package in self._shared
        return sorted(members, key=self.work.variant_place.__getitem__) if in_order else members

    def _sort(self, slot: int, package: int) -> None:
        own = self._own[slot].get(package)
        if own:
            own[0] = True
        else:
            self._shared.add(package)

    def _follow(self, slot: int) -> None:
        """What rez did to the lists when it made a slot, and when it first looked at it."""
        parent = int(self.work.slot_parent[slot])
        origin = self.work.slot_origin[slot]
        splits = origin in (state.SPLIT_FIRST, state.SPLIT_NEXT)
        if parent == NONE:
            self._by_version[slot] = False
            self._own[slot] = {}
        else:
            if splits:
                self._split(parent, slot)
            self._by_version[slot] = self._by_version[parent]
            self._own[slot] = self._inherit(parent, slot, splits)
        self._sort(slot, self._packages(slot)[0])

    def _inherit(self, parent: int, slot: int, splits: bool) -> dict[int, list[bool]]:
        """Lists that a slot has for itself: those of its parent, and those that lost variants in between."""
        before = self._members(parent)
        own = {}
        for package, members in self._members(slot).items():
            theirs = self._own[parent].get(package)
            if len(members) == len(before[package]):
                if theirs:
                    own[package] = theirs
            else:
                own[package] = [splits or (theirs[0] if theirs else package in self._shared)]
        return own

    def _split(self, parent: int, slot: int) -> None:
        """A split sorts its slice by version, and the packages it passes on the way to where it divides them."""
        self._by_version[parent] = True
        packages = self._packages(parent)
        self._sort(parent, packages[0])
        before, after = self._members(parent), self._members(slot)
        if self.work.slot_origin[slot] == state.SPLIT_NEXT:
            first_kept = next(iter(after))
        else:
            first_kept = next((p for p in packages if len(after.get(p, ())) < len(before[p])), packages[-1])
        if sum(map(len, before.values())) > 2:
            for package in packages[: packages.index(first_kept) + 1]:
                self._sort(parent, package)


def find_cycle(neighbours: dict[str, list[str]]) -> list[str]:
    """A cycle of a directed graph, found by depth-first search in the order of the dictionary; empty without one."""
    parents: dict[str, str | None] = {}
    for root, others in neighbours.items():
        if root in parents:
            continue
        parents[root] = None
        stack = [(root, iter(others))]
        while stack:
            node, rest = stack[-1]
            other = next(rest, None)
            if other is None:
                stack.pop()
            elif other not in parents:
                parents[other] = node
                stack.append((other, iter(neighbours[other])))
            else:
                path = _path_up(node, other, parents)
                if path:
                    return path
    return []


def _path_up(node: str | None, ancestor: str, parents: dict[str, str | None]) -> list[str]:
    """From `ancestor` down the search tree to `node`; empty when it is not above it."""
    path = []
    while node != ancestor:
        if node is None:
            return []
        path.append(node)
        node = parents[node]
    path.append(ancestor)
    return path[::-1]
