"""The first answer of a fresh process: what a person waits for who types one command."""

import subprocess
import sys

from .data import REZ, SETS, STUDIO, file_of, need, setup_cache

__all__ = ["CommandLine", "First", "FirstCold", "setup_cache"]

# 16 and 134 solve steps
REQUEST = {STUDIO: 0, REZ: 71}


def answer(requests, name):
    """Python code that opens, solves and looks at the packages."""
    return f"""
        from rer_numba import Repository
        Repository.open({file_of(name)!r}).solve({requests[name][REQUEST[name]]!r}).resolved
        """


class First:
    """Import, open, solve, decode, with kernels compiled before. The interpreter's own start does not count."""

    params = SETS
    param_names = ("data",)
    repeat = (3, 20, 10.0)

    def setup(self, requests, name):
        need(requests, name)

    def timeraw_first_answer(self, requests, name):
        return answer(requests, name)


class FirstCold:
    """The same with an empty cache folder: nothing was verified, and nothing compiled by this user."""

    number = 1
    rounds = 1
    repeat = 2
    warmup_time = 0
    timeout = 300

    def timeraw_new_user(self, requests):
        """With the kernels that the wheel brings; where it brings none, they are compiled."""
        return answer(requests, STUDIO), self._empty_cache("")

    def timeraw_compile(self, requests):
        """With kernels compiled for this machine: what the wheel brings does not count."""
        return answer(requests, STUDIO), self._empty_cache("host")

    @staticmethod
    def _empty_cache(cpu):
        """Python code that asks for kernels for a CPU, from a folder of their own."""
        return f"""
        import os, tempfile
        kept = tempfile.TemporaryDirectory(prefix="cache-", dir=".", ignore_cleanup_errors=True)
        os.environ.update(RER_NUMBA_CACHE_DIR=os.path.abspath(kept.name), RER_NUMBA_CPU={cpu!r}, RER_NUMBA_QUIET="1")
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
        subprocess.run(self.command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
