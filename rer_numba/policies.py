"""The policies of a repository: options to policies, each made once and remembered."""

from __future__ import annotations

import marshal
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rer_numba.compile_policy import CompiledPolicy
from rer_numba.forking import Lock
from rer_numba.policy import Policy
from rer_numba.reader import Reader
from rer_numba.views import Views

if TYPE_CHECKING:  # a process that has a filter need not import what is made for orderers, nor the other way round
    from rer_numba.filters import AnyFilter
    from rer_numba.filters.compiled import CompiledFilter, Names
    from rer_numba.options import SolveOptions
    from rer_numba.orderers import Orderers
    from rer_numba.orderers.lists import CompiledListOrders
    from rer_numba.orderers.tables import CompiledOrders

MOST_BYTES = 128 << 20
"""Of all policies that are remembered for a repository; the latest one is in any case."""
_COUNT_EVERY = 16
_OBJECT = 4096
"""Bytes of the objects of a small policy."""


class Policies:
    """The policies of a repository. Those used last are remembered, as many as `MOST_BYTES` hold.

    Parameters
    ----------
    views, reader
        The repository; the reader says whether build_requires count.
    """

    def __init__(self, views: Views, reader: Reader) -> None:
        self._views = views
        self._reader = reader
        self._names: Names | None = None
        self._known: OrderedDict[Any, _Remembered] = OrderedDict()
        self._as_written: dict[bytes, _Remembered] = {}
        self._n_made = 0
        self._guard = Lock()

    def get(self, options: SolveOptions) -> Policy:
        """The policy of some options.

        Raises
        ------
        RezError, VersionError
            An orderer or a filter cannot be used; the text names the value.
        """
        as_written = _as_written(options)
        found = None if as_written is None else self._as_written.get(as_written)
        if found is None:
            found = self._find(options, as_written)
        with suppress(KeyError):  # another thread may have forgotten it by now
            self._known.move_to_end(found.key)
        return found.policy

    def _find(self, options: SolveOptions, as_written: bytes | None) -> _Remembered:
        """The policy of some options, however they are written."""
        orderers = _orderers_of(options)
        package_filter = _filter_of(options)
        # objects of somebody's own class have no key: they are told apart by being the same object
        key = (
            (orderers.key() or id(options.package_orderers)) if orderers else None,
            (package_filter.key() or id(options.package_filter)) if package_filter else None,
            options.timestamp,
            options.allow_unversioned_packages,
        )
        with self._guard:
            found = self._known.get(key)
            if found is None:
                self._forget()
                policy = self._make(orderers, package_filter, options.allow_unversioned_packages)
                found = self._known[key] = _Remembered(key, policy, options)
            if as_written is not None:
                found.as_written.append(as_written)
                self._as_written[as_written] = found
            return found

    def _make(self, orderers: Orderers | None, package_filter: AnyFilter | None, allow_unversioned: bool) -> Policy:
        if not package_filter and not orderers and allow_unversioned:
            return Policy(self._views)
        compiled = self._compiled_filter(package_filter) if package_filter else None
        orders = self._compiled_orders(orderers) if orderers else None
        return CompiledPolicy(self._views, self._reader, compiled, orders, allow_unversioned)

    def _compiled_filter(self, package_filter: AnyFilter) -> CompiledFilter:
        from rer_numba.filters.compiled import Names, compile_filter

        if self._names is None:
            self._names = Names(self._views, self._reader)
        return compile_filter(package_filter, self._views, self._reader, self._names)

    def _compiled_orders(self, orderers: Orderers) -> CompiledOrders | CompiledListOrders:
        from rer_numba.orderers import OrderMeaning

        if orderers.meaning is OrderMeaning.LISTS:
            from rer_numba.orderers.lists import CompiledListOrders

            return CompiledListOrders(orderers, self._views, self._reader)
        from rer_numba.orderers.tables import CompiledOrders

        return CompiledOrders(orderers, self._views, self._reader)

    def _forget(self) -> None:
        """Forget those that were not used for longest, as far as there is no room for them."""
        self._n_made += 1
        if self._n_made % _COUNT_EVERY:
            return
        kept = [*self._known.values()]  # at once: another thread may put one of them to the end meanwhile
        size = sum(found.size() for found in kept)
        while size > MOST_BYTES and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            size -= oldest.size()
            for as_written in oldest.as_written:
                self._as_written.pop(as_written, None)


class _Remembered:
    """A policy that is remembered, with the forms of the options that it is found by.

    Parameters
    ----------
    key : tuple
    policy : Policy
    options : SolveOptions
        Its objects stay with the policy, so that no other object gets their id.
    """

    def __init__(self, key: tuple[Any, ...], policy: Policy, options: SolveOptions) -> None:
        self.key = key
        self.policy = policy
        self.as_written: list[bytes] = []
        self._source = (options.package_orderers, options.package_filter)

    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return _OBJECT + self.policy.size + 3 * sum(map(len, self.as_written))


def _orderers_of(options: SolveOptions) -> Orderers | None:
    if options.package_orderers is None:
        return None
    from rer_numba.orderers import as_package_orderers

    return as_package_orderers(options.package_orderers, options.rez_version)


def _filter_of(options: SolveOptions) -> AnyFilter | None:
    """The filter, with the rule that the time of the solve makes."""
    if options.package_filter is None and options.timestamp is None:
        return None
    from rer_numba.filters import as_package_filter
    from rer_numba.filters.time import with_timestamp

    return with_timestamp(as_package_filter(options.package_filter), options.timestamp)


def _as_written(options: SolveOptions) -> bytes | None:
    """A key for options that are plain data, to find their policy without reading them again; None for objects."""
    try:  # version 2 writes equal data equally
        return marshal.dumps(
            (
                options.package_orderers,
                options.rez_version,
                options.package_filter,
                options.timestamp,
                options.allow_unversioned_packages,
            ),
            2,
        )
    except ValueError:
        return None
