"""The work arrays of a solve, read into rez's phases.

Ports: what rez.solver._ResolvePhase.solve leaves in a phase, and the reasons it gives (rez 3.4.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rez.solver import (
    DependencyConflict,
    DependencyConflicts,
    FailureReason,
    Reduction,
    SolverStatus,
    TotalReduction,
    _PackageScope,
    _ResolvePhase,
)
from rez.version import Requirement

from rer_numba import state
from rer_numba.explain import Listing
from rer_numba.rez_bridge.lists import (
    Rows,
    TableSlice,
    TableVariant,
    VariantOf,
    make_entry,
    make_scope,
    merged,
    rez_range,
)
from rer_numba.schema import CONFLICT, KERNEL_COLUMNS, NONE, words_for
from rer_numba.snapshot import Solve
from rer_numba.state import Work
from rer_numba.views import mask_at


class Reading:
    """What a solve has come to, as rez's objects. Everything is read at once: the work arrays may go afterwards.

    Parameters
    ----------
    solve : Solve
        After a run, with its work arrays as the kernel left them.
    solver : object
        What rez's code finds as `phase.solver`.
    variant_of : callable
        Gives rez's variant for a row of `variant_package`.
    """

    def __init__(self, solve: Solve, solver: Any, variant_of: VariantOf) -> None:
        self._solve = solve
        self._solver = solver
        self._variant_of = variant_of
        self._reader = solve.view.reader
        self._rows = Rows.of(solve.view)
        self._work = solve.session.work
        self._head = [int(value) for value in self._work.head]
        columns = zip(KERNEL_COLUMNS, solve.view.engine.columns, strict=True)
        self._columns: dict[str, memoryview[int]] = {column.name: view for column, view in columns}
        self._names: dict[int, str] = {}

    # --- phases

    @property
    def is_failed(self) -> bool:
        """The last step has failed."""
        status = self._head[state.PHASE_STATUS] if self._solve.status == state.PAUSED else self._solve.status
        return status in (state.FAILED, state.STOPPED, state.CYCLIC)

    @property
    def depth(self) -> int:
        """How many phases wait below the current one."""
        return self._head[state.STACK_DEPTH]

    def phase(self, status: SolverStatus) -> _ResolvePhase:
        """The current phase, scopes in the order in which they came."""
        fresh = _positions(self._work.fresh, self._head[state.N_SCOPES])
        slots = self._work.scope_slot[: self._head[state.N_SCOPES]].tolist()
        scopes = [self._scope(position, slot, position in fresh) for position, slot in enumerate(slots)]
        extractions = {} if status == SolverStatus.pending else self.extractions()
        return self._make(status, scopes, extractions)

    def solved(self) -> _ResolvePhase:
        """The final phase, scopes in the order of the result."""
        positions = self._work.result_scope[: self._head[state.N_RESULTS]].tolist()
        scopes = [self._scope(position, int(self._work.scope_slot[position]), False) for position in positions]
        return self._make(SolverStatus.solved, scopes, self.extractions())

    @property
    def emptied_family(self) -> int | None:
        """The family of the scope that a total reduction emptied, if that is why the phase has failed."""
        return self._head[state.REASON_FAMILY] if self._head[state.REASON] == state.TOTAL_REDUCTION else None

    def failed(self, earlier: EarlierFailures | None = None) -> _ResolvePhase:
        """The phase that has just failed, and why.

        Parameters
        ----------
        earlier : EarlierFailures, optional
            What happened to `emptied_family` in the phases that failed before.
        """
        phase = self.phase(SolverStatus.failed)
        phase.failure_reason = self._reason(phase, earlier)
        return phase

    def waiting(self) -> list[_ResolvePhase]:
        """The phases on the stack, lowest first, without extractions: those are not kept."""
        work = self._work
        found = []
        for start in range(0, self.depth * state.STACK_RECORD, state.STACK_RECORD):
            record = work.stack[start : start + state.STACK_RECORD]
            first, split = record[state.STACK_FIRST_SLOT], record[state.STACK_SPLIT]
            slots = work.stack_slot[first : first + record[state.STACK_N_SCOPES]].tolist()
            scopes = [self._scope(position, slot, position == split) for position, slot in enumerate(slots)]
            found.append(self._make(SolverStatus.pending, scopes, {}))
        return found

    def _make(
        self, status: SolverStatus, scopes: list[_PackageScope], extractions: dict[tuple[str, str], Requirement]
    ) -> _ResolvePhase:
        phase: _ResolvePhase = _ResolvePhase.__new__(_ResolvePhase)
        phase.solver = self._solver
        phase.failure_reason = None
        phase.extractions = extractions
        phase.status = status
        phase.scopes = scopes
        phase.changed_scopes_i = set()
        return phase

    # --- scopes

    def _name(self, family: int) -> str:
        name = self._names.get(family)
        if name is None:
            if family < self._reader.n_families:
                name = self._reader.family_name(family)
            else:
                name = self._solve.request.requirements[family - self._reader.n_families].name
            self._names[family] = name
        return name

    def _scope(self, position: int, slot: int, is_fresh: bool) -> _PackageScope:
        """A scope in one of its states."""
        work = self._work
        family = int(work.scope_family[position])
        name = self._name(family)
        request_row = int(work.slot_request[slot])
        if request_row != NONE:
            return make_scope(name, self._solver.request_list.requirements[request_row], None, self._solver)
        if work.slot_kind[slot] != state.SLICE:
            start = int(work.slot_data[slot])
            cuts = work.cut[start : start + int(work.slot_count[slot])].tolist()
            range_ = rez_range(self._reader.range_of_cuts(cuts, self._solve.request.unseen))
            return make_scope(name, Requirement.construct(name, range_), None, self._solver)
        packages, slice_ = self._slice(family, name, slot, is_fresh)
        return make_scope(name, self._rows.versions_request(name, packages), slice_, self._solver)

    def _slice(self, family: int, name: str, slot: int, is_fresh: bool) -> tuple[list[int], TableSlice]:
        """(its packages, the slice) of a slot."""
        variants = self._reader.mask_variants(family, self._work.word, int(self._work.slot_data[slot]))
        building = self._solve.options.building
        packages, entries = [], []
        for package, members in groupby(variants, key=self._reader.variant_package):
            made = [TableVariant(self._rows, variant, name, self._variant_of, building) for variant in members]
            packages.append(package)
            entries.append(make_entry(made, self._solver))
        is_extractable = is_fresh and self._is_extractable(family, slot)
        broken = self._broken(variants) if is_fresh else None
        unseen = None if broken is None else TableVariant(self._rows, broken, name, self._variant_of, building)
        return packages, TableSlice(name, entries, self._solver, is_extractable, unseen)

    def _broken(self, variants: list[int]) -> int | None:
        """The first variant, in the order given, whose requirements conflict with each other."""
        broken = (variant for variant in variants if self._reader.variant_error(variant) != NONE)
        package = self._reader.variant_package
        return min(broken, key=lambda variant: (self._reader.given_rank(package(variant)), variant), default=None)

    def _mask(self, family: int, slot: int) -> int:
        return mask_at(self._work.word, self._work.slot_data[slot], self._words(family))

    def _words(self, family: int) -> int:
        """How many words a mask over a family takes."""
        first, end = self._columns["family_variant_offsets"][family : family + 2]
        return words_for(end - first)

    def _masks(self, column: str, start: int, n: int, family: int) -> Iterator[int]:
        """`n` masks over a family that stand one after the other."""
        words = self._words(family)
        return (mask_at(self._columns[column], start + k * words, words) for k in range(n))

    def _is_extractable(self, family: int, slot: int) -> bool:
        """True when all variants of a slice require some family."""
        first, end = self._columns["family_mention_offsets"][family : family + 2]
        mask = self._mask(family, slot)
        start = self._columns["family_mention_mask_offsets"][family]
        return any(not mask & ~having for having in self._masks("mention_mask", start, end - first, family))

    # --- extractions

    def extractions(self) -> dict[tuple[str, str], Requirement]:
        """What was extracted in the current phase, in the order in which rez does it."""
        work, n = self._work, self._head[state.N_CONTRIBUTIONS]
        sources = [work.scope_family[scope] for scope in work.contribution_scope[:n]]
        others = work.contribution_family[:n].tolist()
        found = {}
        for k, (source, other) in enumerate(zip(sources, others, strict=True)):
            found[self._name(source), self._name(other)] = self._contribution(k)
        return found

    def _contribution(self, k: int) -> Requirement:
        row = int(self._work.contribution_requirement[k])
        return self._rows.extracted((row,) if row != NONE else self._asked_in_common(k))

    def _asked_in_common(self, k: int) -> tuple[int, ...]:
        """The distinct requirements on the extracted family among the variants of a slice."""
        work, columns = self._work, self._columns
        family = work.scope_family[work.contribution_scope[k]]
        mention = work.contribution_mention[k]
        mask = self._mask(family, work.contribution_slot[k])
        first, end = columns["mention_link_offsets"][mention : mention + 2]
        rows = columns["link_requirement"][first:end]
        return tuple(
            row
            for link, row in enumerate(rows, first)
            if mask & self._link_mask(link) and not columns["requirement_flags"][row] & CONFLICT
        )

    def _link_mask(self, link: int) -> int:
        """The variants that have the requirement of a link."""
        start, end = self._columns["link_mask_offsets"][link : link + 2]
        return mask_at(self._columns["link_mask"], start, end - start) << 64 * self._columns["link_first_word"][link]

    def _round(self, family: int) -> Iterable[int]:
        """The extractions of a family in the last round."""
        for k in range(self._head[state.ROUND_START], self._head[state.N_CONTRIBUTIONS]):
            if self._work.contribution_family[k] == family:
                yield k

    # --- reasons

    def _reason(self, phase: _ResolvePhase, earlier: EarlierFailures | None) -> FailureReason | None:
        reason, family = self._head[state.REASON], self._head[state.REASON_FAMILY]
        scope, other = self._head[state.REASON_SCOPE], self._head[state.REASON_OTHER]
        if reason == state.MERGE_CONFLICT:
            before = merged(self._contribution(k) for k in self._round(family) if k < other)
            return DependencyConflicts([DependencyConflict(before, self._contribution(other))])
        if reason == state.SCOPE_CONFLICT:
            asked = merged(map(self._contribution, self._round(family)))
            return DependencyConflicts([DependencyConflict(asked, phase.scopes[scope].package_request)])
        if reason == state.TOTAL_REDUCTION:
            return TotalReduction(self._reductions(scope, phase.scopes[other].package_request, earlier))
        return None

    def _reductions(self, position: int, conflicting: Requirement, earlier: EarlierFailures | None) -> list[Reduction]:
        """All variants of the slice that was emptied, in the order in which rez lists them."""
        family = int(self._work.scope_family[position])
        slot = int(self._work.scope_slot[position])
        if earlier is None:
            earlier = EarlierFailures(self._solve, family)
        return [
            Reduction(
                name=self._name(family),
                version=self._rows.version(self._reader.variant_package(variant)),
                variant_index=self._reader.variant_index(variant),
                dependency=self._rows.required(variant, conflicting.name),
                conflicting_request=conflicting,
            )
            for variant in earlier.listed(self._work, slot)
        ]


class EarlierFailures(Listing):
    """The order of the variants of one family, with what phases that have failed did to it.

    rez sorts lists in place that all phases share. A phase that fails leaves them sorted, while its slots are given
    back, so what it did has to be noted before.

    Parameters
    ----------
    solve : Solve
    family : int

    Notes
    -----
    Not known is whether rez has looked once more at a slice that was reduced just before the phase failed in the same
    round of reductions. It is taken for looked at, as nearly all are.
    """

    def __init__(self, solve: Solve, family: int) -> None:
        places = None if solve.policy is None else solve.policy.places()
        super().__init__(solve.view.reader, solve.session.work, family, places)

    def note(self, work: Work) -> None:
        """Note what the phase did that has just failed, and forget the slots that are given back."""
        self.work = work
        position = int(work.family_scope[self.family]) - 1
        if position >= 0:
            slot = int(work.scope_slot[position])
            is_unseen = position in _positions(work.fresh, position + 1) and work.slot_origin[slot] != state.REDUCED
            self._look(int(work.slot_parent[slot]) if is_unseen else slot)
        top = (int(work.head[state.STACK_DEPTH]) - 1) * state.STACK_RECORD
        kept = int(work.stack[top + state.STACK_N_SLOTS])
        for slot in [slot for slot in self._own if slot >= kept]:
            del self._own[slot], self._by_version[slot]

    def listed(self, work: Work, slot: int) -> list[int]:
        """The variants of a slot as rez lists them, when `work` has the places of all variants of the family."""
        self.work = work
        self._look(slot)
        return [variant for package in self._packages(slot) for variant in self._listed(slot, package)]

    def _look(self, slot: int) -> None:
        """Follow what was done to a slot, and before that to those it was made from."""
        chain = []
        while slot != NONE and slot not in self._own:
            if self.work.slot_kind[slot] == state.SLICE:
                chain.append(slot)
            slot = int(self.work.slot_parent[slot])
        for made in reversed(chain):
            self._follow(made)


def _positions(words: memoryview[int], n: int) -> set[int]:
    """The positions below `n` in a set of them."""
    return {position for position in range(n) if words[position >> 6] >> (position & 63) & 1}
