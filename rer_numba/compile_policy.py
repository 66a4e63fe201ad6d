"""Options to policies: filters and orderers become masks and places for one repository."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

import numpy as np

from rer_numba import schema
from rer_numba.errors import UnreadablePackageError
from rer_numba.filters import as_package_filter
from rer_numba.filters.compiled import CompiledFilter, compile_filter
from rer_numba.filters.time import with_timestamp
from rer_numba.forking import Lock
from rer_numba.masks import FamilyMasks
from rer_numba.orderers import SoftTimestampOrder, as_package_orderers
from rer_numba.orderers.pairs import NOT_MIXED
from rer_numba.orderers.tables import OrderTables, tabulate
from rer_numba.policy import Policy
from rer_numba.reader import Reader
from rer_numba.views import family_of_package

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.schema import IntArray, Tables

_KEPT = 64


class FilteringPolicy(Policy):
    """A policy with a filter."""

    def __init__(self, tables: Tables, compiled: CompiledFilter) -> None:
        super().__init__(tables)
        self._tables = tables
        self._compiled = compiled
        self._asking = Lock()  # a rule may solve something itself

    def dies_of(self, package: int) -> bool:
        """Tell whether rez meets the error of loading a package when it asks the filter, before it loads it."""
        return self._compiled.dies_of(package)


class AskingPolicy(FilteringPolicy):
    """A policy whose filter holds somebody's own rules: they are asked for the packages a solve looks at, once each."""

    def ask(self, variants: list[int]) -> None:
        """Let the filter answer for the packages of these variants.

        Raises
        ------
        UnreadablePackageError
            rez would end the solve because of what a package says.
        Exception
            Whatever a rule raises.
        """
        with self._asking:  # a word of a mask holds many packages, and no rule needs to be called twice at a time
            self._ask(variants)

    def _ask(self, variants: list[int]) -> None:
        tables, arrays = self._tables, self.arrays
        packages = set(tables.variant_package[variants].tolist())
        for package in sorted(packages, key=lambda package: int(tables.package_given_rank[package])):
            seen = self._compiled.ask(package)
            error = self._compiled.loading_error(package) if seen else None
            if error is not None:  # rez gets no further than this one
                raise UnreadablePackageError(*error)
            family = family_of_package(tables, package)
            first = int(tables.family_variant_offsets[family])
            start = int(arrays.family_word_offsets[family])
            for variant in range(*tables.package_variant_offsets[package : package + 2].tolist()):
                word, bit = start + ((variant - first) >> 6), np.uint64(1 << ((variant - first) & 63))
                if not seen:
                    arrays.seen_mask[word] &= ~bit
                arrays.asked_mask[word] |= bit  # last, since a solve in another thread may look


class Policies:
    """The policies of a repository, each compiled once.

    Parameters
    ----------
    tables, reader
        The repository; the reader says whether build_requires count.
    """

    def __init__(self, tables: Tables, reader: Reader) -> None:
        self._tables = tables
        self._reader = reader
        self._known: dict[Any, Policy] = {}
        self._guard = Lock()

    def get(self, options: SolveOptions) -> Policy:
        """The policy of some options.

        Raises
        ------
        RezError, VersionError
            An orderer or a filter cannot be used; the text names the value.
        """
        as_written = _as_written(options)
        policy = None if as_written is None else self._known.get(as_written)
        if policy is None:
            policy = self._compiled(options)
            if as_written is not None:
                self._known[as_written] = policy
        return policy

    def _compiled(self, options: SolveOptions) -> Policy:
        """The policy of some options, however they are written."""
        orderers = as_package_orderers(options.package_orderers)
        package_filter = with_timestamp(as_package_filter(options.package_filter), options.timestamp)
        # objects of somebody's own class have no key: they are told apart by being the same object
        key = (
            (orderers.key() or id(options.package_orderers)) if orderers else None,
            (package_filter.key() or id(options.package_filter)) if package_filter else None,
            options.timestamp,
            options.allow_unversioned_packages,
        )
        with self._guard:
            if key not in self._known:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                policy = self._compile(orderers, package_filter, options.allow_unversioned_packages)
                # the objects stay with the policy, so that no other object gets their id
                policy.source = (options.package_orderers, options.package_filter)
                self._known[key] = policy
            return self._known[key]

    def _compile(self, orderers: Any, package_filter: Any, allow_unversioned: bool) -> Policy:
        tables, reader = self._tables, self._reader
        compiled = compile_filter(package_filter, tables, reader) if package_filter else None
        if compiled is None:
            policy = Policy(tables)
        else:
            policy = (AskingPolicy if compiled.is_lazy else FilteringPolicy)(tables, compiled)
        if compiled is not None or not allow_unversioned:
            _put_filter(policy, tables, compiled, allow_unversioned)
        if orderers:
            _put_orders(policy, tables, reader, tabulate(orderers, tables, reader))
            policy.orders_by_time = any(isinstance(order, SoftTimestampOrder) for order in orderers.leaves())
        return policy


def _as_written(options: SolveOptions) -> bytes | None:
    """A key for options that are plain data, to find their policy without reading them again; None for objects."""
    try:  # version 2 writes equal data equally
        return marshal.dumps(
            (options.package_orderers, options.package_filter, options.timestamp, options.allow_unversioned_packages), 2
        )
    except ValueError:
        return None


def _put_filter(policy: Policy, tables: Tables, compiled: CompiledFilter | None, allow_unversioned: bool) -> None:
    """Write what may be seen."""
    n_packages = len(tables.package_version_rank)
    allowed = np.ones(n_packages, bool) if compiled is None else compiled.allowed_packages().copy()
    if not allow_unversioned:
        versioned = tables.package_version_rank != 0  # rank 0 is the empty version
        allowed &= versioned
        exists = np.logical_or.reduceat(np.append(versioned, False), tables.family_package_offsets[:-1])
        exists &= np.diff(tables.family_package_offsets) > 0
        policy.put(family_absent=~exists)
    offsets, seen = _as_masks(tables, allowed)
    asked = np.full(len(seen), ~np.uint64(0))
    if compiled is not None and compiled.is_lazy:
        _, asked = _as_masks(tables, ~compiled.undecided_packages())
        policy.asks_filter = True
    policy.filters = True
    policy.put(family_word_offsets=offsets, seen_mask=seen, asked_mask=asked)


def _as_masks(tables: Tables, packages: IntArray) -> tuple[IntArray, IntArray]:
    """(where each family's mask starts, masks over variants) of a set of packages."""
    words = (np.diff(tables.family_variant_offsets) + 63) >> 6
    masks = FamilyMasks(np.arange(len(words)), words)
    variants = np.flatnonzero(packages[tables.variant_package])
    family = np.searchsorted(tables.family_variant_offsets, variants, side="right") - 1
    masks.set(family, variants - tables.family_variant_offsets[family])
    return masks.family_offsets, masks.words


def _put_orders(policy: Policy, tables: Tables, reader: Reader, orders: OrderTables) -> None:
    """Write the order of packages and of ranges."""
    policy.put(
        family_reordered=orders.family_reordered,
        package_place=orders.package_place,
        requirement_rank=orders.requirement_rank,
    )
    if not orders.mixed:
        return
    offsets = reader.variant_requirement_offsets
    local = np.zeros(int(offsets[-1]), np.int32)
    start = np.full(len(tables.package_version_rank), schema.NONE, np.int32)
    count = np.zeros(len(start), np.int32)
    squares = []
    size = 0
    for package in np.flatnonzero(orders.package_mixed != NOT_MIXED).tolist():
        rows, square = orders.pairs.pair_table(package)
        first, last = tables.package_variant_offsets[package : package + 2]
        low, high = int(offsets[first]), int(offsets[last])
        local[low:high] = np.searchsorted(rows, reader.variant_requirement[low:high])
        start[package], count[package] = size, len(rows)
        squares.append(np.ravel(square))
        size += square.size
    policy.orders_pairs = True
    policy.put(pair_start=start, pair_count=count, pair_local=local, pair_order=np.concatenate(squares))
