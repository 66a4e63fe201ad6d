"""pyrer's fastest way from package folders to an answer, in a process that does nothing else.

Run as a file, with a folder of packages and a request: ``python -P benchmark_pyrer_start.py FOLDER REQUEST...``. So it
loads no module of rer-numba, which pyrer should not have to wait for. Families are listed when pyrer's solver asks for
them, and their files handed to pyrer's parser all at once. Handing it only the versions in the range that pyrer tells
would need rez's ranges, whose import takes as long as the parsing that it saves, or longer (2026-11-21).

Prints (status, packages, steps, files read, files that pyrer's parser left over) as a Python literal.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pyrer


class Packages:
    """Hands out the packages of a family.

    Parameters
    ----------
    folder : str
        With packages as NAME/VERSION/package.py.

    Attributes
    ----------
    read, left : int
        How many files were read, and how many of them not by pyrer's parser.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.read = self.left = 0

    def load_family(self, name: str) -> list[Any]:
        """All packages of a family; [] without a folder. What pyrer's parser leaves over is run."""
        family = os.path.join(self._folder, name)
        try:
            versions = os.listdir(family)
        except FileNotFoundError:
            return []
        paths = [f"{family}/{version}/package.py" for version in versions]
        found: list[Any] = pyrer.parse_static_packages_py(paths)
        self.read += len(found)
        for place, package in enumerate(found):
            if package is None:
                self.left += 1
                found[place] = run_package(paths[place])
        return found


def run_package(path: str) -> Any:
    """Make a package of what a package file assigns, as rez does, without its checks."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    found: dict[str, Any] = {}
    exec(compile(source, path, "exec"), found)
    return pyrer.PackageData(
        found["name"], found.get("version", ""), found.get("requires"), found.get("variants") or None
    )


if __name__ == "__main__":
    packages = Packages(sys.argv[1])
    result = pyrer.solve(sys.argv[2:], load_family=packages.load_family)
    answer = (result.status, result.resolved, result.num_iterations, packages.read, packages.left)
    sys.stdout.write(f"{answer}\n")
