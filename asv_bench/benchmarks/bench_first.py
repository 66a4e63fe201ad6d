"""The first answer of a fresh process: what a person waits for who types one command.

The kernel was compiled before (`setup_cache`), as after the first use on a machine. The interpreter's own start, some
15 ms, does not count.
"""

from .data import SETS, file_of, need, setup_cache

__all__ = ["First", "setup_cache"]

MEDIAN = 71


class First:
    """Import, open, solve, decode."""

    params = SETS
    param_names = ("data",)
    repeat = (3, 20, 10.0)

    def setup(self, requests, name):
        need(requests, name)

    def timeraw_first_answer(self, requests, name):
        request = requests[name][MEDIAN % len(requests[name])]
        return f"""
        from rer_numba import Repository
        Repository.open({file_of(name)!r}).solve({request!r}).resolved
        """
