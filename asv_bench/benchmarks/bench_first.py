"""The first answer of a fresh process: what a person waits for who types one command.

The kernel was compiled before (`setup_cache`), as after the first use on a machine.
"""

import subprocess
import sys

from .data import REZ, SETS, STUDIO, file_of, need, setup_cache

__all__ = ["CommandLine", "First", "setup_cache"]

# 16 and 134 solve steps
REQUEST = {STUDIO: 0, REZ: 71}


class First:
    """Import, open, solve, decode. The interpreter's own start, some 15 ms, does not count."""

    params = SETS
    param_names = ("data",)
    repeat = (3, 20, 10.0)

    def setup(self, requests, name):
        need(requests, name)

    def timeraw_first_answer(self, requests, name):
        request = requests[name][REQUEST[name]]
        return f"""
        from rer_numba import Repository
        Repository.open({file_of(name)!r}).solve({request!r}).resolved
        """


class CommandLine:
    """A whole command, with the interpreter's start and the printing."""

    params = SETS
    param_names = ("data",)
    repeat = (3, 20, 10.0)
    number = 1

    def setup(self, requests, name):
        request = need(requests, name)[REQUEST[name]]
        self.command = [sys.executable, "-m", "rer_numba", "solve", "-r", file_of(name), *request]

    def time_solve(self, requests, name):
        subprocess.run(self.command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
