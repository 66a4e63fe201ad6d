"""Runs commands of the installed rez in processes of their own, hooked or not, as a studio would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import rez

from tests.process import PATIENCE, ROOT

REZ = Path(rez.__file__).resolve().parents[1]
"""Where the rez lies that the tests run with."""

IS_INSTALLED = Path(sysconfig.get_path("purelib")).resolve() == REZ
"""It is that of this Python, and not one that PYTHONPATH leads to: see ``.ci/under_rez``."""

PYTHON_PATH = os.pathsep.join([str(ROOT)] if IS_INSTALLED else [str(REZ), str(ROOT)])
"""PYTHONPATH of children that are to find this source tree and this rez."""

HOOK = "import rer_numba.rez_bridge.auto"
"""The line that README and docs tell a studio to add."""

WITH_SOURCES = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
"""Before it: the tests run from a source tree, which `python -E` does not see."""

AT_EXIT = """
import atexit, os
def _tell():
    import json, sys
    stats = sys.modules.get("rer_numba.rez_bridge.stats")
    resolver = sys.modules.get("rez.resolver")
    facts = {"numpy": "numpy" in sys.modules, "solver": resolver and resolver.Solver.__module__}
    facts["rez"] = sys.modules["rez"].__version__
    facts.update(stats.stats() if stats else {})
    with open(os.environ["TEST_FACTS"], "w") as stream:
        json.dump(facts, stream)
if "TEST_FACTS" in os.environ:
    atexit.register(_tell)
    del atexit
"""
"""Tells what a process had imported, and counted, when it ended."""


class Done(NamedTuple):
    """What a command did; `facts` are those of `AT_EXIT`."""

    code: int
    out: str
    err: str
    facts: dict[str, object]


class Studio:
    """A configuration file, a home, and packages.

    Parameters
    ----------
    folder : Path
        Empty, to keep them in.
    packages : sequence of Path
        Where rez searches.
    lines : str
        What the configuration file begins with.
    rez : Path, optional
        Where another rez lies than the one that the tests run with.
    """

    def __init__(self, folder: Path, packages: Sequence[Path], lines: str = "", rez: Path | None = None) -> None:
        self._rez = rez if rez is not None else None if IS_INSTALLED else REZ
        self._version = version_of(self._rez or REZ)
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.config = folder / "rezconfig.py"
        self.home = folder / "home"
        self.home.mkdir()
        self.config.write_text(f"{lines}\n{AT_EXIT}\npackages_path = {list(map(str, packages))!r}\n")
        self._number = 0

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Done:
        """Run the interpreter with these arguments, where REZ_CONFIG_FILE leads to the configuration.

        A rez that is not installed is found by PYTHONPATH.
        """
        self._number += 1
        facts = self.folder / f"facts{self._number}.json"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REZ_", "RER_NUMBA"))}
        kept.pop("PYTHONPATH", None)
        cache = os.environ.get("RER_NUMBA_CACHE_DIR")
        environment = {
            **kept,
            **({"RER_NUMBA_CACHE_DIR": cache} if cache else {}),
            "RER_NUMBA_QUIET": "1",  # what is said while kernels are compiled is compared by nobody
            "HOME": str(self.home),
            "PYTHONHASHSEED": "0",
            "REZ_CONFIG_FILE": str(self.config),
            "REZ_DISABLE_HOME_CONFIG": "1",
            "TEST_FACTS": str(facts),
            **(variables or {}),
        }
        if self._rez is not None:
            folders = [str(self._rez), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        found = json.loads(facts.read_text()) if facts.exists() else {}
        assert found.get("rez", self._version) == self._version, "another rez was imported"
        return Done(done.returncode, done.stdout, done.stderr, found)

    def rez(self, command: str, *arguments: str, variables: Mapping[str, str] | None = None) -> Done:
        """Run a command such as "rez-env": by its script, or as that does it where rez is not installed."""
        if self._rez is None:
            script = Path(sys.executable).with_name(command)
            return self.run("-E", str(script), *arguments, variables=variables)
        function = "run_" + command.replace("-", "_")
        code = (
            f"import sys; sys.path.insert(0, {str(self._rez)!r}); sys.argv[0] = {command!r}; "
            f"from rez.cli._entry_points import {function}; sys.exit({function}())"
        )
        return self.run("-E", "-c", code, *arguments, variables=variables)


def version_of(folder: Path) -> str:
    """The version of the rez that lies in a folder."""
    found = re.search("_rez_version = [\"'](.*)[\"']", (folder / "rez" / "utils" / "_version.py").read_text())
    assert found is not None
    return found[1]


def write_packages(folder: Path, packages: Mapping[str, str]) -> Path:
    """Write definition files: "foo-1" -> text behind name and version."""
    for title, text in packages.items():
        name, _, version = title.partition("-")
        place = folder / name / version
        place.mkdir(parents=True)
        (place / "package.py").write_text(f"name = {name!r}\nversion = {version!r}\n{text}\n")
    return folder
