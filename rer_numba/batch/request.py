"""A request of a batch that brings options of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rer_numba.options import Overrides, SolveOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in `typing` since Python 3.11


class Request:
    """A request and how it is to be solved, for `Repository.solve_many`.

    Parameters
    ----------
    requests : iterable of str or requirement
        What is wanted.
    options : SolveOptions, optional
        How; default: as the batch. Hand in the same object with many requests: it is compiled once.
    **overrides
        Single options that replace those, as for `Repository.solve`.

    Notes
    -----
    Nothing is checked here: what is wrong is told by the result of this request.
    """

    __slots__ = ("options", "overrides", "requests")

    def __init__(
        self, requests: Iterable[Any], options: SolveOptions | None = None, **overrides: Unpack[Overrides]
    ) -> None:
        self.requests = requests
        self.options = options
        self.overrides = overrides

    def __repr__(self) -> str:
        options = "" if self.options is None else f", {self.options!r}"
        return f"Request({self.requests!r}{options}{''.join(f', {k}={v!r}' for k, v in self.overrides.items())})"
