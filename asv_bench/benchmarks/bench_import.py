"""Importing: every tool pays it at each start."""


class Import:
    """In a fresh interpreter, whose own start does not count."""

    repeat = (3, 20, 10.0)

    def timeraw_package(self):
        return "import rer_numba"

    def timeraw_command_line(self):
        return "import rer_numba.cli"

    def timeraw_what_a_solve_needs(self):
        """Without Numba and pyarrow: a saved repository and a compiled kernel need neither."""
        return "import llvmlite.binding, numpy"
