"""Opening a saved repository: mapping the file, checking it."""

import os

from rer_numba import Repository

from .data import SETS, file_of, need, setup_cache

__all__ = ["Open", "setup_cache"]


class Open:
    """In a process that has opened one before."""

    params = SETS
    param_names = ("data",)

    def setup(self, requests, name):
        need(requests, name)

    def time_open(self, requests, name):
        Repository.open(file_of(name))

    def track_file_size(self, requests, name):
        return os.path.getsize(file_of(name))

    track_file_size.unit = "bytes"
