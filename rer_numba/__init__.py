"""rer-numba: rez's solver on integer arrays."""

from rer_numba.packages import PackageData
from rer_numba.repository import Repository
from rer_numba.results import ResolvedVariant, SolveResult

__all__ = ["PackageData", "Repository", "ResolvedVariant", "SolveResult"]
