"""Solving, from the request to names and versions, in a process that has solved before."""

from rer_numba import Repository

from .data import REZ, SETS, STUDIO, file_of, need, setup_cache

__all__ = ["Explain", "SolveAll", "SolveOne", "setup_cache"]

# of rez's 188 requests: 7, 134 and 335 solve steps; of the studio's: a short one, and the longest
ONE = {
    "small": (REZ, 11),
    "median": (REZ, 71),
    "large": (REZ, 157),
    "studio_small": (STUDIO, 2),
    "studio_large": (STUDIO, 17),
}
FAILING = {"conflict": (STUDIO, 19), "total_reduction": (STUDIO, 21)}


class SolveOne:
    """One request."""

    params = tuple(ONE)
    param_names = ("request",)

    def setup(self, requests, which):
        name, number = ONE[which]
        self.request = need(requests, name)[number]
        self.repository = Repository.open(file_of(name))
        self.repository.solve(self.request)

    def time_solve(self, requests, which):
        self.repository.solve(self.request).resolved


class Explain:
    """A request that cannot be solved, and the text that says why."""

    params = tuple(FAILING)
    param_names = ("request",)

    def setup(self, requests, which):
        name, number = FAILING[which]
        self.request = requests[name][number]
        self.repository = Repository.open(file_of(name))
        assert self.repository.solve(self.request).status == "failed"

    def time_solve_and_describe(self, requests, which):
        self.repository.solve(self.request).failure_description


class SolveAll:
    """All requests of a data set, one after the other on one core."""

    params = SETS
    param_names = ("data",)

    def setup(self, requests, name):
        self.requests = need(requests, name)
        self.repository = Repository.open(file_of(name))
        self.repository.solve(self.requests[0])

    def time_solve(self, requests, name):
        for request in self.requests:
            self.repository.solve(request).resolved
