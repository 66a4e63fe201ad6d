"""Options to policies: filters and orderers become masks and places, for what solves of one repository come to.

Nothing is compiled ahead. The arrays of a policy are memory that costs nothing until it is touched. A solve that comes
to a family, or to a package, stops with NEED_POLICY, `CompiledPolicy.compile` writes what the options say about it, and
the solve goes on. So a policy costs what its solves reach, whatever the size of the repository.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rer_numba import state
from rer_numba.errors import UnreadablePackageError
from rer_numba.forking import Lock
from rer_numba.policy import Places, Policy, mask_start
from rer_numba.policy_arrays import (
    ABSENT,
    ASKS,
    BY_RANK,
    HIDES,
    NOT_RANKED,
    POLICY,
    REORDERED,
    UNFILTERED,
    UNORDERED,
    PolicyArrays,
)
from rer_numba.reader import Reader
from rer_numba.schema import words_for
from rer_numba.state import FAMILY_ORDER, FAMILY_ORDERS, PACKAGE_ORDER, REQUEST_FILTERS, ROUND_FILTERS
from rer_numba.views import Views, family_of_package, zeros

if TYPE_CHECKING:  # a process that has a filter need not import what is made for orderers, nor the other way round
    from rer_numba.filters.compiled import CompiledFilter
    from rer_numba.orderers.lists import CompiledListOrders
    from rer_numba.orderers.tables import CompiledOrders, RangeOrder
    from rer_numba.state import Work

_FIRST_PAIRS = 1 << 16
_PAGE = 4096
_WORD = 0xFFFF_FFFF_FFFF_FFFF


class CompiledPolicy(Policy):
    """A policy of options. Threads may share it.

    Parameters
    ----------
    views, reader
        The repository; the reader says whether build_requires count.
    package_filter : CompiledFilter or None
    orders : CompiledOrders, CompiledListOrders or None
    allow_unversioned : bool
        Packages without a version exist.

    Attributes
    ----------
    size : int
        About how many bytes of memory it takes.
    """

    def __init__(
        self,
        views: Views,
        reader: Reader,
        package_filter: CompiledFilter | None,
        orders: CompiledOrders | CompiledListOrders | None,
        allow_unversioned: bool = True,
    ) -> None:
        super().__init__(views)
        self._reader = reader
        self._filter = package_filter
        self._orders = orders
        self._allow_unversioned = allow_unversioned
        self.filters = package_filter is not None or not allow_unversioned
        self.orders = orders is not None
        self.asks = (package_filter is not None and package_filter.asks) or (orders is not None and orders.asks)
        self.orders_by_time = orders is not None and orders.reads_times
        self._compiling = Lock()  # a rule may solve something itself
        self.arrays = self._make_arrays()
        self._end_of_pairs = 0
        # what lies in pages of the system counts when it is touched
        made: dict[str, memoryview[int]] = self.arrays._asdict()
        self._is_paged = {name: not isinstance(view.obj, bytearray) for name, view in made.items()}
        self.size = sum(view.nbytes for name, view in made.items() if not self._is_paged[name])

    def _make_arrays(self) -> PolicyArrays:
        """Arrays in which nothing is compiled."""
        views = self._views
        n_words = (len(views.variant_package) >> 6) + len(views.family_text)
        n_packages = len(views.package_version_rank)
        asks = self._filter is not None and self._filter.may_ask
        lengths = {
            "family_policy": len(views.family_text),
            "seen_mask": n_words if self.filters else 0,
            "unasked_mask": n_words if asks else 0,
            "package_place": n_packages if self.orders else 0,
            "range_place": len(self._reader.variant_requirement) if self.orders else 0,
            "pair_start": n_packages if self.orders else 0,
            "pair_order": _FIRST_PAIRS if self.orders else 0,
        }
        made = {one.name: zeros(one.dtype, lengths[one.name]) for one in POLICY}
        self._put_unknown(made["family_policy"])
        return PolicyArrays(**made)

    def _put_unknown(self, flags: memoryview[int]) -> None:
        """Note what has to be compiled when a solve comes to it."""
        hiding = self._filter.named_families() if self._filter is not None and self._allow_unversioned else None
        ordered = None if self._orders is None else self._orders.named_families()
        unknown = UNFILTERED if self.filters and hiding is None else 0
        unknown |= UNORDERED if self.orders and ordered is None else 0
        if unknown:
            flags[:] = bytes([unknown]) * len(flags)
        for families, flag in ((hiding, UNFILTERED), (ordered, UNORDERED)):
            for family in families or ():
                flags[family] |= flag

    # --- when a solve comes to something

    def compile(self, work: Work) -> bool:
        """Compile what the kernel came to.

        Parameters
        ----------
        work : Work
            As the kernel left it with NEED_POLICY.

        Returns
        -------
        bool
            The solve can go on from there; else it has to start again.

        Raises
        ------
        Exception
            Whatever an orderer of somebody else's class raises.
        """
        what, number = work.head[state.WANTED], work.head[state.WANTED_ID]
        if what == REQUEST_FILTERS:
            families = work.request_family[: work.head[state.N_REQUESTS]].tolist()
            self._compile_filters(family for family in families if family < len(self._views.family_text))
        elif what == ROUND_FILTERS:
            self._compile_filters(work.accumulator_family[: work.head[state.N_ACCUMULATORS]].tolist())
        elif what == FAMILY_ORDER:
            self._compile_order(number)
        elif what == PACKAGE_ORDER:
            self._compile_ranges([number])
        elif what == FAMILY_ORDERS:
            self._compile_order(number)
            self._compile_ranges(range(*self._views.family_package_offsets[number : number + 2]))
        return what not in (REQUEST_FILTERS, FAMILY_ORDERS)

    def _compile_filters(self, families: Iterable[int]) -> None:
        with self._compiling:
            arrays = self.arrays
            unknown = [family for family in families if arrays.family_policy[family] & UNFILTERED]
            found = [(family, self._compile_filter(arrays, family)) for family in unknown]
        self._publish(arrays, found, UNFILTERED)

    def _publish(self, arrays: PolicyArrays, found: Sequence[tuple[int, int]], unknown: int) -> None:
        """Replace, for families, what was unknown by what is known.

        A solve in another thread may look at any moment. What the flags are about was written under the lock, and comes
        before them in its eyes too when they are written under the lock again.
        """
        with self._compiling:
            flags = arrays.family_policy
            for family, known in found:
                if flags[family] & unknown:
                    flags[family] = flags[family] & ~unknown | known

    # --- filters

    def _compile_filter(self, arrays: PolicyArrays, family: int) -> int:
        """Write the masks of a family; returns its flags."""
        views = self._views
        first, last = views.family_package_offsets[family : family + 2]
        hidden, undecided = (0, 0) if self._filter is None else self._filter.of_family(family)
        flags = 0
        if not self._allow_unversioned:
            unversioned = self._unversioned(first, last)
            hidden |= unversioned
            flags |= ABSENT if unversioned == (1 << (last - first)) - 1 else 0
        undecided &= ~hidden
        if hidden or undecided:
            flags |= HIDES
            self._put_mask(arrays.seen_mask, family, ~self._variants_of(family, hidden))
        if undecided:
            flags |= ASKS
            self._put_mask(arrays.unasked_mask, family, self._variants_of(family, undecided))
        return flags

    def _unversioned(self, first: int, last: int) -> int:
        """The mask of the packages without a version, which has rank 0."""
        ranks = self._views.package_version_rank[first:last].tolist()
        return sum(1 << place for place, rank in enumerate(ranks) if not rank)

    def _variants_of(self, family: int, packages: int) -> int:
        """The mask over the variants of a family, of a mask over its packages."""
        views = self._views
        first, last = views.family_package_offsets[family : family + 2]
        offsets = views.package_variant_offsets[first : last + 1].tolist()
        if offsets[-1] - offsets[0] == last - first:
            return packages  # each has one variant
        variants = 0
        while packages:
            low = packages & -packages
            place = low.bit_length() - 1
            begin, end = offsets[place] - offsets[0], offsets[place + 1] - offsets[0]
            variants |= (1 << end) - (1 << begin)
            packages ^= low
        return variants

    def _put_mask(self, words: memoryview[int], family: int, mask: int) -> None:
        first, last = self._views.family_variant_offsets[family : family + 2]
        start, count = mask_start(first, family), words_for(last - first)
        words[start : start + count] = array("Q", [mask >> 64 * k & _WORD for k in range(count)])
        self._touch("seen_mask", 8 * count)

    def dies_of(self, package: int) -> bool:
        """Tell whether rez meets the error of loading a package when it asks the filter, before it loads it."""
        return self._filter is not None and self._filter.dies_of(package)

    def ask(self, variants: Sequence[int]) -> None:
        """Let the filter answer for the packages of these variants.

        Raises
        ------
        UnreadablePackageError
            rez would end the solve because of what a package says.
        Exception
            Whatever a rule raises.
        """
        with self._compiling:  # a word of a mask holds many packages, and no rule needs to be called twice at a time
            packages = set(map(self._reader.variant_package, variants))
            for package in sorted(packages, key=self._reader.given_rank):
                self._ask(package)

    def _ask(self, package: int) -> None:
        assert self._filter is not None
        seen = self._filter.ask(package)
        error = self._filter.loading_error(package) if seen else None
        if error is not None:  # rez gets no further than this one
            raise UnreadablePackageError(*error)
        views, arrays = self._views, self.arrays
        family = family_of_package(views, package)
        first = views.family_variant_offsets[family]
        start = mask_start(first, family)
        for variant in range(*views.package_variant_offsets[package : package + 2]):
            word, bit = start + ((variant - first) >> 6), 1 << ((variant - first) & 63)
            if not seen:
                arrays.seen_mask[word] &= ~bit & _WORD
            arrays.unasked_mask[word] &= ~bit & _WORD  # last, since a solve in another thread may look

    # --- orderers

    def places(self) -> Places | None:
        """Place of each package in the order of preference; None when it is that of the tables."""
        return _Places(self) if self.orders else None

    def place(self, package: int) -> int:
        """The place of a package, to be compared with those of its family."""
        family = family_of_package(self._views, package)
        self._compile_order(family)
        return int(self.arrays.package_place[package]) if self.arrays.family_policy[family] & REORDERED else package

    def _compile_order(self, family: int) -> None:
        """Write the places of the packages of a family."""
        assert self._orders is not None
        with self._compiling:
            if not self.arrays.family_policy[family] & UNORDERED:
                return
            places = self._orders.package_places(family)
            arrays = self.arrays
            if places is not None:
                first = self._views.family_package_offsets[family]
                arrays.package_place[first : first + len(places)] = array("i", places)
                self._touch("package_place", 4 * len(places))
        self._publish(arrays, [(family, 0 if places is None else REORDERED)], UNORDERED)

    def _compile_ranges(self, packages: Iterable[int]) -> None:
        """Write how the ranges compare that the variants of packages require."""
        assert self._orders is not None
        for package in packages:
            with self._compiling:
                if self.arrays.pair_start[package] != NOT_RANKED:
                    continue
                order = self._orders.range_order(package)
                self._make_room(1 + len(order.square) if order.n_rows else 0)
                arrays = self.arrays
                start = self._put_ranges(arrays, package, order)
            with self._compiling:  # again, see `_publish`
                arrays.pair_start[package] = start

    def _put_ranges(self, arrays: PolicyArrays, package: int, order: RangeOrder) -> int:
        """Write the places of a package, and its square if it has one; returns its `pair_start`."""
        low = self._reader.variant_requirement_offsets[self._views.package_variant_offsets[package]]
        arrays.range_place[low : low + len(order.places)] = array("i", order.places)
        self._touch("range_place", 4 * len(order.places))
        self._touch("pair_start", 4)
        if not order.n_rows:
            return BY_RANK
        begin = self._end_of_pairs
        self._end_of_pairs = begin + 1 + len(order.square)
        arrays.pair_order[begin : self._end_of_pairs] = array("h", [order.n_rows, *order.square])
        return begin + 1

    def _make_room(self, n_more: int) -> None:
        """Make the array of squares larger when it must be.

        A solve under way may have the old one, and then must not see where anything begins in the new one.
        """
        old, end = self.arrays, self._end_of_pairs
        if end + n_more > len(old.pair_order):
            pairs = zeros("int16", 2 * max(len(old.pair_order), n_more))
            pairs[:end] = old.pair_order[:end]
            starts = zeros("int32", len(old.pair_start))
            starts[:] = old.pair_start
            self.arrays = PolicyArrays(**{**old._asdict(), "pair_start": starts, "pair_order": pairs})
            self.size += pairs.nbytes

    def _touch(self, name: str, n_bytes: int) -> None:
        """Count memory that is written to for the first time, or nearly so."""
        if self._is_paged[name]:
            self.size += max(n_bytes, _PAGE)


class _Places:
    """Places of packages, compiled when they are asked for."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self._policy = policy

    def __getitem__(self, package: int) -> int:
        return self._policy.place(package)
