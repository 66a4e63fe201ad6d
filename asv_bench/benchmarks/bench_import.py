"""Importing: every tool pays it at each start."""


class Import:
    """In a fresh interpreter, whose own start does not count."""

    repeat = (3, 20, 10.0)

    def timeraw_package(self):
        return "import rer_numba"

    def timeraw_command_line(self):
        return "import rer_numba.cli"

    def timeraw_repository(self):
        """What a solve needs besides the compiled kernels."""
        return "from rer_numba import Repository"
