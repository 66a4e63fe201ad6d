"""Runs rez's own test modules, those that were installed with rez, with our solver underneath.

A module runs in a process of its own: with plain rez first, since some modules need what a machine may not have, and
then with rez hooked. The process writes what happened as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import rez

from tests.process import PATIENCE
from tests.rez_commands import PYTHON_PATH

_LAUNCHER = """
import json, os, sys, time, unittest
module, result, is_ours, verbosity = sys.argv[1], sys.argv[2], sys.argv[3] == "ours", sys.argv[4]
import rez
assert rez.__version__ == sys.argv[5], "another rez was imported"
class Patience:  # the module time, for one that waits so many times for another process: each time longer than before
    def __init__(self):
        self.factor = 1.0
    def __getattr__(self, name):
        return getattr(time, name)
    def sleep(self, seconds):
        time.sleep(seconds * self.factor)
        self.factor *= 1.15
if is_ours:
    import rer_numba.rez_bridge
    assert rer_numba.rez_bridge.install()
from rez.system import system
system.__dict__["rez_bin_path"] = os.path.dirname(sys.executable)  # else tests that build skip themselves
suite = unittest.defaultTestLoader.loadTestsFromName("rez.tests." + module)
if hasattr(sys.modules["rez.tests." + module], "time"):
    sys.modules["rez.tests." + module].time = Patience()
if verbosity != "as it stands":
    sys.modules["rez.tests." + module].solver_verbosity = int(verbosity)
ran = unittest.TextTestRunner(verbosity=1).run(suite)
facts = {"tests": ran.testsRun, "skipped": len(ran.skipped), "is_ok": ran.wasSuccessful(), "problems": []}
facts["problems"] = [str(test) + "\\n" + text for test, text in [*ran.failures, *ran.errors]]
if is_ours:
    facts["stats"] = rer_numba.rez_bridge.stats()
with open(result, "w") as stream:
    json.dump(facts, stream)
"""


class Ran(NamedTuple):
    """What a run of one module gave.

    Attributes
    ----------
    tests, skipped : int
        How many there were, and how many of them skipped themselves.
    problems : list of str
        What failed, with tracebacks; or how the process died.
    native, fallback : int
        Solves that were ours, and those that rez did because we could not; 0 with plain rez.
    reasons : dict
        Why it had to, and how often.
    """

    tests: int
    skipped: int
    problems: list[str]
    native: int = 0
    fallback: int = 0
    reasons: dict[str, int] = {}  # noqa: RUF012 - never changed


class Suite:
    """Runs modules in an environment that their tests can do what they like with.

    Parameters
    ----------
    folder : Path
        Empty. Gets a home, rez's Python package that some tests want, and the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "python_packages"
        self._number = 0
        (folder / "home").mkdir()
        (folder / "tmp").mkdir()
        self.packages.mkdir()
        self._prepare()

    def _prepare(self) -> None:
        make = (  # since rez 3.0
            "import sys; from rez.cli import selftest; "
            "getattr(selftest, 'create_python_package', lambda folder: None)(sys.argv[1])"
        )
        subprocess.run(
            [sys.executable, "-c", make, str(self.packages)],
            env=self._environment(),
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REZ_", "RER_NUMBA"))}
        cache = os.environ.get("RER_NUMBA_CACHE_DIR")  # else the new home would have every run compile
        return {
            **kept,
            **({"RER_NUMBA_CACHE_DIR": cache} if cache else {}),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),  # what lies in the usual place rez takes for temporary, and caches none
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": PYTHON_PATH,
            "__REZ_SELFTEST_RUNNING": "1",
            "__REZ_SELFTEST_PYTHON_REPO": str(self.packages),
        }

    def run(self, module: str, *, ours: bool, verbosity: int | None = None) -> Ran:
        """Run a module of `rez.tests`.

        Parameters
        ----------
        module : str
            Its name, such as "test_solver".
        ours : bool
            Whether our solver is to be underneath.
        verbosity : int, optional
            In place of the `solver_verbosity` of the module.
        """
        kind = "ours" if ours else "plain"
        self._number += 1
        folder = self.folder / f"{self._number} {module} {kind}"
        folder.mkdir()
        result = folder / "result.json"
        given = "as it stands" if verbosity is None else str(verbosity)
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, module, str(result), kind, given, rez.__version__],
            cwd=folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if not result.exists():
            return Ran(0, 0, [f"exit code {done.returncode}: {done.stderr[-2000:]}"])
        facts = json.loads(result.read_text())
        stats = facts.get("stats", {"native": 0, "fallback": 0, "reasons": {}})
        return Ran(
            facts["tests"], facts["skipped"], facts["problems"], stats["native"], stats["fallback"], stats["reasons"]
        )
