"""Many requests in one call, by one thread and by two; on a single processor two gain nothing."""

import inspect

from rer_numba import Repository

from .data import SETS, file_of, need, setup_cache

__all__ = ["Batch", "setup_cache"]


class Batch:
    """All requests of a data set, in a process that has solved before."""

    params = (SETS, (1, 2))
    param_names = ("data", "threads")

    def setup(self, requests, name, threads):
        if "threads" not in inspect.signature(Repository.solve_many).parameters:
            raise NotImplementedError("a commit from before batches in threads")
        self.requests = need(requests, name)
        self.repository = Repository.open(file_of(name))
        self.batch = self.repository.solve_many(self.requests, threads=threads)
        self.batch.to_arrow()  # imports pyarrow

    def time_solve_many(self, requests, name, threads):
        self.repository.solve_many(self.requests, threads=threads)

    def time_first_look(self, requests, name, threads):
        """Solve, and make the list of packages of each result."""
        for result in self.repository.solve_many(self.requests, threads=threads):
            result.resolved

    def time_to_arrow(self, requests, name, threads):
        """Columns of a batch that was solved before; threads do not matter."""
        self.batch.to_arrow()
