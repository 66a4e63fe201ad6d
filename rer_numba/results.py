"""The answer of a solve, decoded when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.errors import ResolveError, exception_of

if TYPE_CHECKING:
    from rer_numba.reader import Reader


class ResolvedVariant(NamedTuple):
    """One resolved package.

    Attributes
    ----------
    name, version : str
        As the package spells them; version '' when it has none.
    variant_index : int or None
        None when the package has no variants.
    requires : list of str
        What the variant requires, merged.
    uri : str
        The definition and, in brackets, the variant.
    """

    name: str
    version: str
    variant_index: int | None
    requires: list[str]
    uri: str


class SolveResult:
    """What came of one request.

    Attributes
    ----------
    status : str
        "solved"; "failed": there is no solution, or `max_fails` was reached; "error": rez would have raised
        `error_type`; "aborted": `time_limit` was reached; "cancelled": its batch ended before.
    num_solves, num_fails : int
        Solve steps, and those that failed, as rez counts them.
    solve_time_ms : float
        Time in the solver, from the merged request to the end of the kernel.
    error_type : str or None
        Name of the exception class for "error".
    resolved_ephemerals : list of str
        In rez's order.
    fallback_reason : str or None
        Why rez itself solved this request; None when it did not.
    """

    __slots__ = (
        "_failure",
        "_packages",
        "_reader",
        "_variants",
        "error_type",
        "fallback_reason",
        "num_fails",
        "num_solves",
        "resolved_ephemerals",
        "solve_time_ms",
        "status",
    )

    def __init__(
        self,
        status: str,
        *,
        num_solves: int = 0,
        num_fails: int = 0,
        solve_time_ms: float = 0.0,
        variants: tuple[Reader, list[int]] | None = None,
        ephemerals: list[str] | None = None,
        failure: str | Callable[[], str] | None = None,
        error_type: str | None = None,
        packages: list[ResolvedVariant] | None = None,
        fallback_reason: str | None = None,
    ) -> None:
        self.status = status
        self.num_solves = num_solves
        self.num_fails = num_fails
        self.solve_time_ms = solve_time_ms
        self.error_type = error_type
        self.resolved_ephemerals = ephemerals or []
        self._reader: Reader | None = None
        self._variants: list[int] = []
        if variants is not None:
            self._reader, self._variants = variants
        self._failure = failure
        self._packages = packages
        self.fallback_reason = fallback_reason

    @property
    def num_iterations(self) -> int:
        """Solve steps, as users of pyrer know them: `num_solves`."""
        return self.num_solves

    @property
    def reader(self) -> Reader | None:
        """What decodes `variants`."""
        return self._reader

    @property
    def variants(self) -> list[int]:
        """The resolved variants by number, in rez's order, as far as they are ours to decode."""
        return self._variants

    @property
    def resolved_packages(self) -> list[ResolvedVariant]:
        """The resolved packages in rez's order; empty unless solved."""
        if self._packages is None:
            self._packages = [self._decode(variant) for variant in self._variants]
        return self._packages

    def _decode(self, variant: int) -> ResolvedVariant:
        reader = self._reader
        assert reader is not None
        requires, uri = reader.variant_details(variant)
        name, version, index = reader.variant_name(variant)
        return ResolvedVariant(name, version, index, list(requires), uri)

    @property
    def resolved(self) -> list[tuple[str, str, int | None]]:
        """(name, version, variant index) of the resolved packages in rez's order."""
        if self._reader is None:
            return [package[:3] for package in self._packages or ()]
        return [self._reader.variant_name(variant) for variant in self._variants]

    @property
    def failure_description(self) -> str | None:
        """rez's text for a failure; for "error" the text of the exception; None when solved."""
        if callable(self._failure):
            self._failure = self._failure()
        return self._failure

    def __bool__(self) -> bool:
        """True when solved."""
        return self.status == "solved"

    def raise_for_status(self) -> None:
        """Raise what rez raises.

        Raises
        ------
        RezError, VersionError
            The class that `error_type` names, for "error"; ResolveError for "failed".
        """
        if self.status == "solved":
            return
        if self.error_type is None:
            raise ResolveError(self.failure_description)
        raise exception_of(self.error_type, str(self.failure_description))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle, and copy deeply, as what it says, without the repository: names are read, and a failure explained."""
        names = ("num_solves", "num_fails", "solve_time_ms", "error_type", "fallback_reason")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        values["ephemerals"] = self.resolved_ephemerals
        values["failure"] = self.failure_description
        values["packages"] = self.resolved_packages
        return _result, (self.status, values)

    def __repr__(self) -> str:
        if self.status == "solved":
            found = f"{len(self.resolved)} packages"
        else:
            found = self.error_type or "no solution"
        return f"<SolveResult {self.status}: {found}, {self.num_solves} steps>"


def _result(status: str, values: dict[str, Any]) -> SolveResult:
    return SolveResult(status, **values)
