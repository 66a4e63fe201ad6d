"""Package folders: encoding them, opening what they gave, and bringing it up to date."""

import os

from rer_numba import Repository

from .data import TREES, copied, file_of_tree, need_tree, setup_cache, tree_of, wait_until_settled

__all__ = ["EncodePaths", "MemoryPaths", "OpenPaths", "RefreshNothing", "RefreshOne", "setup_cache"]


class EncodePaths:
    """From folders to tables, by one process and by two."""

    params = (TREES, (1, 2))
    param_names = ("data", "processes")
    repeat = (2, 5, 20.0)
    number = 1
    warmup_time = 0

    def setup(self, requests, name, processes):
        need_tree(name)

    def time_from_paths(self, requests, name, processes):
        Repository.from_paths([tree_of(name)], processes=processes)


class MemoryPaths:
    """Peak memory of the process that encodes, alone."""

    params = TREES
    param_names = ("data",)

    def setup(self, requests, name):
        need_tree(name)

    def peakmem_from_paths(self, requests, name):
        Repository.from_paths([tree_of(name)], processes=1)


class OpenPaths:
    """Opening a file that this user has opened before, so that its checksums are not looked at."""

    params = (TREES, ("frozen", "release", "strict"))
    param_names = ("data", "check")

    def setup(self, requests, name, check):
        need_tree(name)
        Repository.open(file_of_tree(name), check=check).solve(requests[name][0])  # loads what is needed

    def time_open(self, requests, name, check):
        Repository.open(file_of_tree(name), check=check)

    def time_open_and_solve(self, requests, name, check):
        """With looks at what the solve touches."""
        Repository.open(file_of_tree(name), check=check).solve(requests[name][0])


class RefreshNothing:
    """Looking for changes that are not there: at folders and files, or at folders only."""

    params = (TREES, ("strict", "release"))
    param_names = ("data", "check")

    def setup(self, requests, name, check):
        need_tree(name)
        self.repository = Repository.open(file_of_tree(name), check="frozen")
        assert self.repository.refresh().families == []

    def time_refresh(self, requests, name, check):
        self.repository.refresh(check=check)


class RefreshOne:
    """Finding a family with a changed file, reading it again, linking, saving."""

    params = TREES
    param_names = ("data",)
    repeat = (2, 10, 10.0)
    number = 1  # so that `setup` comes before each
    warmup_time = 0

    def setup(self, requests, name):
        need_tree(name)
        self.repository = Repository.open(copied(file_of_tree(name)), check="frozen")
        assert self.repository.refresh().families == []
        family = min(os.listdir(tree_of(name)))
        version = min(os.listdir(os.path.join(tree_of(name), family)))
        self.file = os.path.join(tree_of(name), family, version, "package.py")
        self.date = os.stat(self.file).st_mtime_ns
        os.utime(self.file)
        wait_until_settled()

    def teardown(self, requests, name):
        if hasattr(self, "file"):
            os.utime(self.file, ns=(self.date, self.date))

    def time_refresh(self, requests, name):
        assert self.repository.refresh().families
