"""Encoding packages, and saving them: the price of a release in the studio."""

from rer_numba import Repository

from .data import SETS, file_of, need, packages_of, setup_cache

__all__ = ["Encode", "setup_cache"]


class Encode:
    """From `PackageData` in memory."""

    params = SETS
    param_names = ("data",)
    repeat = (2, 5, 20.0)
    number = 1
    warmup_time = 0

    def setup(self, requests, name):
        need(requests, name)
        self.packages = packages_of(name)
        self.repository = Repository.open(file_of(name))

    def time_encode(self, requests, name):
        Repository.from_packages(self.packages)

    def time_save(self, requests, name):
        self.repository.save("saved.rer")
