"""How much work a solve is, without noise. On rez's 188 requests the counts must be rez's own."""

from rer_numba import Repository

from .data import REZ, SETS, file_of, golden, need, setup_cache

__all__ = ["Counters", "setup_cache"]


class Counters:
    """Sums over the requests of a data set."""

    params = SETS
    param_names = ("data",)

    def setup(self, requests, name):
        need(requests, name)

    def track_num_solves(self, requests, name):
        return self._sum(requests, name, "num_solves")

    def track_num_fails(self, requests, name):
        return self._sum(requests, name, "num_fails")

    track_num_solves.unit = "solve steps"
    track_num_fails.unit = "failed phases"

    def _sum(self, requests, name, counter):
        repository = Repository.open(file_of(name))
        counts = [getattr(repository.solve(request), counter) for request in requests[name]]
        if name == REZ:
            wanted = [answer.get(counter, 0) for answer in golden()]
            assert counts == wanted, f"{counter}: not what rez counts"
        return sum(counts)
