"""Peak memory of a whole process, interpreter and libraries included."""

from rer_numba import Repository

from .data import SETS, file_of, need, packages_of, setup_cache

__all__ = ["Memory", "setup_cache"]


class Memory:
    """In a process of its own each."""

    params = SETS
    param_names = ("data",)

    def setup(self, requests, name):
        need(requests, name)

    def peakmem_import(self, requests, name):
        """What is there before anything is done: the difference to the others is their own."""

    def peakmem_open(self, requests, name):
        self.repository = Repository.open(file_of(name))

    def peakmem_solve_all(self, requests, name):
        repository = Repository.open(file_of(name))
        for request in requests[name]:
            repository.solve(request).resolved

    def peakmem_encode(self, requests, name):
        Repository.from_packages(packages_of(name))
