"""Solves that meet a late requirement, or a package that only this process knows: rez does them as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rer_numba.errors import NeedsRezError
from rer_numba.forking import Lock
from rer_numba.results import SolveResult
from rer_numba.rez_bridge import presence

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.paths.settings import PathSettings
    from rer_numba.requests import MergedRequest
    from rer_numba.stepping import Limits


_one_at_a_time = Lock()
"""rez's configuration is changed while rez solves, and it is that of the whole process."""


def solve_with_rez(
    request: MergedRequest,
    options: SolveOptions,
    paths: Sequence[str],
    settings: PathSettings,
    reason: str,
    limits: Limits | None = None,
) -> SolveResult:
    """Let rez solve a request, if it is installed.

    Parameters
    ----------
    request : MergedRequest
    options : SolveOptions
    paths : sequence of str
        Where rez shall search.
    settings : PathSettings
        How it shall do that.
    reason : str
        What our solve met.
    limits : Limits, optional
        When rez gives up.

    Returns
    -------
    SolveResult
        rez's answer, with `reason` as its `fallback_reason`; without rez an error that says what is needed.
    """
    remedy = presence.remedy()
    if remedy is not None:
        return SolveResult("error", failure=f"{reason}; {remedy}", error_type=NeedsRezError.__name__)
    from rer_numba.rez_bridge.fallback import solve

    with _one_at_a_time:
        return solve(request, options, paths, settings, reason, limits)
