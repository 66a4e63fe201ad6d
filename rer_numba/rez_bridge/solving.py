"""A solve of rez's, done by us: rez's arguments in, our tables, and what rez would have told, raised and handed out.

Invariants
----------
- Whatever this cannot do as rez does it raises `NotNativeError`, with the reason; rez then does the solve as a whole.
- What a solve touched is settled before anybody hears of it: before a callback, before an exception, before the end.
- Nobody is told of a package twice, whatever is solved again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import rez
from rez.config import config
from rez.packages import Package, Variant, get_variant
from rez.version import VersionError

from rer_numba import state
from rer_numba.assembly import AssembledSnapshot
from rer_numba.errors import ConfigurationError
from rer_numba.filters import as_package_filter
from rer_numba.options import SolveOptions
from rer_numba.orderers import NoOrder, OrderMeaning, SoftTimestampOrder, as_package_orderers
from rer_numba.packages import LATE, PROCESS, PackageData
from rer_numba.partial import Found
from rer_numba.requirements import RequirementList, as_requirement
from rer_numba.rez_bridge.lists import Rows, TableVariant
from rer_numba.rez_bridge.load import called_package
from rer_numba.rez_bridge.raised import exception_of
from rer_numba.rez_bridge.refusals import OUR_PART, NotNativeError, OurPart
from rer_numba.rez_bridge.sites import Site, forget_sites, site_of
from rer_numba.schema import NONE
from rer_numba.snapshot import Solve
from rer_numba.tell import say

_AHEAD = 64
"""How many steps a solve that goes step by step is settled in advance: settling each one takes longer than solving."""


_RUNNING = OurPart(then=forget_sites)
"""After an error nobody knows what the sites know: the next solve looks at everything again."""


def options_of(package_filter: Any, package_orderers: Any, building: bool, paths: Sequence[str]) -> SolveOptions:
    """The options of a solve from rez's arguments and its configuration.

    Raises
    ------
    NotNativeError
        A filter or an orderer is of a class that we do not know, or looks elsewhere than the solve, or takes the order
        of a set.
    """
    try:
        orderers = as_package_orderers(package_orderers, rez.__version__)
        own_filter = as_package_filter(package_filter) if package_filter else None
    except (ConfigurationError, VersionError) as error:
        raise NotNativeError(str(error)) from None
    if own_filter is not None and own_filter.has_custom:
        raise NotNativeError("a package filter of one's own class, which wants rez's packages")
    leaves = list(orderers.leaves()) if orderers else []
    if any(isinstance(order, NoOrder) for order in leaves):
        raise NotNativeError("a no_order orderer leaves versions in the order of a set, which only rez knows")
    looks_elsewhere = orderers is not None and orderers.meaning is not OrderMeaning.LISTS
    by_time = looks_elsewhere and any(isinstance(order, SoftTimestampOrder) for order in leaves)
    if by_time and list(paths) != list(config.packages_path):
        raise NotNativeError("a soft_timestamp orderer looks on packages_path, which is not where this solve looks")
    return configured(SolveOptions(package_orderers=orderers, package_filter=own_filter, building=bool(building)))


def configured(options: SolveOptions) -> SolveOptions:
    """Options with what rez reads in its configuration while it solves."""
    return replace(
        options,
        variant_select_mode=config.variant_select_mode,
        error_on_missing_variant_requires=bool(config.error_on_missing_variant_requires),
    )


class NativeSolve:
    """One solve for rez.

    Parameters
    ----------
    requests : iterable of rez.version.Requirement
    paths : sequence of str
        rez's package_paths.
    options : SolveOptions
    context : ResolvedContext, optional
        What rez's packages and variants are told.
    on_load : callable, optional
        Is told of each package that rez would have loaded.

    Attributes
    ----------
    request : RequirementList
        Merged. If it is in conflict with itself, nothing else here may be used.
    solve : Solve
        As far as it has come.
    loads_told : int
        Packages that `on_load` was told of.
    steps_told : int
        Steps that a callback was told of.
    ephemerals : list of str
        The resolved ones, once it is solved.

    Raises
    ------
    NotNativeError
    """

    def __init__(
        self,
        requests: Iterable[Any],
        paths: Sequence[str],
        options: SolveOptions,
        context: Any,
        on_load: Callable[[Package], Any] | None,
    ) -> None:
        self.paths = paths
        self.options = options
        self.context = context
        self.on_load = on_load
        self.loads_told = 0
        self.steps_told = 0
        self._missing_told = 0
        self._loads_seen = -1
        self._settled_to = 0
        self._late: dict[Found, PackageData] = {}
        self._touched_families: list[str] = []
        self._rows: list[int] = []
        self.ephemerals: list[str] = []
        try:
            self.request = RequirementList([as_requirement(one) for one in requests])
        except (TypeError, VersionError) as error:
            raise NotNativeError(str(error)) from None
        if self.request.conflict:
            return
        with OurPart(paths, forget_sites):
            self.site: Site = site_of(paths)
            self.site.prepare(self.request)
            self.begin()

    # --- running

    def begin(self) -> None:
        """Begin, or begin again, on what the site knows now."""
        self._scout: Solve | None = None
        self._loads_seen = -1
        late = self._late
        self.snapshot: AssembledSnapshot = (
            self.site.snapshot_with(late.items(), self._touched_families) if late else self.site.snapshot
        )
        self.solve: Solve = self.snapshot.begin(self.request, self.options, self.paths)

    def begin_again(self) -> None:
        """Begin again for whoever wants to hear everything once more, except for packages."""
        self.solve.close()
        self.begin()
        self.steps_told = 0

    def configure(self) -> None:
        """Look at rez's configuration again: it reads it while it solves."""
        with OUR_PART:
            self.options = configured(self.options)
            self.solve.options = self.options

    def run(self, to_step: int = 0) -> int:
        """Run to a step (0: to the end), and tell what rez tells on the way.

        Raises
        ------
        Exception
            What rez raises at that point.
        NotNativeError
            Nothing was told of what lies behind `loads_told`.
        """
        try:
            with _RUNNING:
                status, error = self._run(to_step)
                loads, missing = self._new_loads(), self._new_missing_families()
        finally:
            if self.solve.status != state.PAUSED:
                self.solve.close()
        for row in loads:
            self.loads_told += 1
            self._tell_load(row)
        for text in missing:
            say(f"{text}\n")
        if error is not None:
            raise error
        return status

    def _run(self, to_step: int) -> tuple[int, Exception | None]:
        if to_step > 0:
            self._settle_ahead(to_step)
            status = self.solve.run(to_step)
        else:
            status = self.solve.run(to_step)
            while self._is_replaced(self.solve) or self._has_called(self.solve):
                status = self.solve.run(to_step)
        self._require_times(self.solve)
        if status == state.SOLVED:
            self._rows, self.ephemerals = self.solve.variants(), self.solve.ephemerals()
        return status, self._exception() if status == state.ERROR else None

    def _exception(self) -> Exception:
        """What the solve raises. A text that prints rez's object for a package prints the one that rez has."""
        error_type, text = self.solve.error()
        if error_type == "PackageDefinitionFileMissing":
            looked_at = self.solve.touched()
            for row, error in self.snapshot.with_error((*looked_at.packages, *looked_at.hidden), error_type):
                if error.text == text:
                    text = f"Missing package definition file: {self.site.package(self.snapshot, row).resource!r}"
                    break
        return exception_of(error_type, text)

    def _is_replaced(self, solve: Solve) -> bool:
        """Settle what a solve has touched. If that changes the tables, begin again."""
        is_done = solve.status != state.PAUSED
        asks = self._error_type(solve) == PROCESS or self.snapshot.unknown_time(solve) is not None
        if not self.site.settle(self.snapshot, solve.looked_at(), is_done=is_done, asks_process=asks):
            return False
        solve.close()
        self.solve.close()
        self.begin()
        return True

    def _error_type(self, solve: Solve) -> str | None:
        return solve.error()[0] if solve.status == state.ERROR else None

    def _has_called(self, solve: Solve) -> bool:
        """Call the late functions that a solve has come to, once each. If there are any, begin again."""
        if self._error_type(solve) != LATE:
            return False
        called = False
        touched = solve.touched()
        name_of = self.snapshot.reader.family_name
        self._touched_families = [one if isinstance(one, str) else name_of(one) for one in touched.families]
        for row, _ in self.snapshot.with_error(touched.packages, LATE, building=self.options.building):
            found = self.snapshot.found(row)
            if found not in self._late:
                self._late[found] = self._called(row, found)
                called = True
        if called:
            solve.close()
            self.solve.close()
            self.begin()
        return called

    def _called(self, row: int, found: Found) -> PackageData:
        """What a package says in this solve."""
        package = self.site.package(self.snapshot, row)
        package.set_context(self.context)
        return called_package(package, found, building=self.options.building)

    def _require_times(self, solve: Solve) -> None:
        """Refuse a solve whose order hangs on the release time of a package where none can be read: rez may raise that.

        Raises
        ------
        NotNativeError
        """
        if solve.policy is None or not solve.policy.orders_by_time:
            return
        views, found = solve.view.views, solve.looked_at()
        for package in (*found.packages, *found.hidden):
            if views.package_error[package] != NONE or views.package_timestamp_error[package] != NONE:
                raise NotNativeError("a soft_timestamp orderer meets a package whose time cannot be read")

    def _settle_ahead(self, to_step: int) -> None:
        """Let another solve run in front, some steps at a time, so that what a step will touch is settled."""
        while to_step > self._settled_to:
            scout = self._scout = self._scout or self.solve.again()
            status = scout.run(self._settled_to + _AHEAD)
            if self._is_replaced(scout) or self._has_called(scout):
                continue
            self._settled_to += _AHEAD
            if status != state.PAUSED:
                self._settled_to = sys.maxsize
                scout.close()

    def _new_loads(self) -> list[int]:
        """The packages that nobody was told of yet."""
        loads = int(self.solve.session.head[state.N_LOADS])
        if self.on_load is None or (loads == self._loads_seen and self.solve.status == state.PAUSED):
            return []
        self._loads_seen = loads
        return self.solve.touched().packages[self.loads_told :]

    def _tell_load(self, row: int) -> None:
        assert self.on_load is not None
        package = LatePackage(partial(self.site.package, self.snapshot, row))
        package.set_context(self.context)
        self.on_load(package)

    def _new_missing_families(self) -> list[str]:
        """What rez prints about each phase that failed for a family that is not there, as far as it is not told."""
        if self.options.error_on_missing_variant_requires or not self.solve.num_fails:
            return []
        texts = list(_missing_families(self.solve))
        told, self._missing_told = self._missing_told, max(self._missing_told, len(texts))
        return texts[told:]

    # --- reading

    def variant_of(self, row: int) -> Variant:
        """rez's variant for a row."""
        return get_variant(self.site.handle(self.snapshot, row), context=self.context)

    def variants(self) -> list[TableVariant]:
        """The resolved variants."""
        reader = self.solve.view.reader
        rows = Rows.of(self.solve.view)
        building = self.options.building
        return [
            ResolvedVariant(
                self.site.handle(self.snapshot, row), rows, row, reader.variant_name(row)[0], self.variant_of, building
            )
            for row in self._rows
        ]


def _missing_families(solve: Solve) -> Iterator[str]:
    """A text for each step so far that failed for a family that is not there: solves step by step once more."""
    again = solve.again()
    try:
        for step in range(1, solve.num_solves + 1):
            status = again.run(to_step=step)
            head = again.session.head
            has_failed = status == state.FAILED or head[state.PHASE_STATUS] == state.FAILED
            if has_failed and head[state.REASON] == state.MISSING_FAMILY:
                # the text is that of the exception it would have been
                head[state.REASON], head[state.REASON_OTHER] = state.FAMILY_NOT_FOUND, state.REQUIRED
                yield again.explainer().error()[1]
    finally:
        again.close()


class ResolvedVariant(TableVariant):
    """rez's PackageVariant of a solution: its handle is known without rez's variant."""

    def __init__(
        self, handle: dict[str, Any], rows: Rows, row: int, name: str, variant_of: Any, building: bool
    ) -> None:
        super().__init__(rows, row, name, variant_of, building)
        self._handle = handle

    @property
    def handle(self) -> dict[str, Any]:
        """rez's handle of the variant, as a dict."""
        return self._handle


class LatePackage(Package):
    """rez's Package, found in its repository when somebody looks at it; from then on it is one of rez's.

    Whoever counts packages does not look. Finding them all takes longer than most solves.
    """

    def __init__(self, find: Callable[[], Package]) -> None:
        # not rez's __init__, which wants what it stands for
        self._find = find
        self.context = None
        self._late_binding_returnvalues: dict[str, Any] = {}

    def _become(self) -> Package:
        if type(self) is LatePackage:
            self.wrapped = vars(self).pop("_find")().wrapped
            self.__class__ = Package  # type: ignore[assignment]
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "_find" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._become(), name)

    def __eq__(self, other: object) -> bool:
        return bool(self._become() == other)

    def __hash__(self) -> int:
        return hash(self._become())

    def __str__(self) -> str:
        return str(self._become())

    def __repr__(self) -> str:
        return repr(self._become())
