"""Many requests at once: `Repository.solve_many` and what it gives. See docs/batches.md."""

from rer_numba.batch.request import Request
from rer_numba.batch.results import BatchInterrupted, SolveBatch

__all__ = ["BatchInterrupted", "Request", "SolveBatch"]
