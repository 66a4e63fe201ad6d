"""A rez that is too old, or newer than all that we know: rez solves alone, and a command says so in one line at most.

The rez at hand plays both: a copy of it that says that it is another version, and whose solver has one character more.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from rer_numba import commands_rez
from tests.process import ROOT
from tests.rez_commands import HOOK, REZ, WITH_SOURCES, Done, Studio, version_of, write_packages

PACKAGES = {
    "app-1": "requires = ['lib']",
    "lib-1": "",
    "own-1": "import os\nrequires = [os.environ.get('NO_SUCH', 'lib')]",
}
YAML = "name: yam\nversion: '1'\nrequires: [lib]\n"
OLD, NEW = "2.113.0", "3.99.0"
SAYS = {
    OLD: "rez 2.113.0 is older than 2.114, the first that rer-numba works with: upgrade rez",
    NEW: "rez 3.99.0 is not one of 2.114 to 3.4.0, whose solver ours is known to be equal to: upgrade rer-numba",
}


@pytest.fixture(scope="module", params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, version: str) -> Path:
    """Where such a rez lies."""
    folder = tmp_path_factory.mktemp("rez")
    for name in ("rez", "rezplugins"):
        shutil.copytree(REZ / name, folder / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    file = folder / "rez" / "utils" / "_version.py"
    file.write_text(file.read_text().replace(version_of(REZ), version))
    with open(folder / "rez" / "solver.py", "a") as stream:
        stream.write("#\n")
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = write_packages(tmp_path / "packages", PACKAGES)
    (folder / "yam" / "1").mkdir(parents=True)
    (folder / "yam" / "1" / "package.yaml").write_text(YAML)
    return folder


@pytest.fixture
def studio(tmp_path: Path, packages: Path, other: Path) -> Studio:
    return Studio(tmp_path / "hooked", [packages], WITH_SOURCES + HOOK, rez=other)


def ours(studio: Studio, *arguments: str) -> Done:
    """Run rer-numba where the hook is in rez's configuration."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return studio.run("-m", "rer_numba", *arguments, variables={"PYTHONPATH": str(ROOT), "PATH": path})


def lines(done: Done) -> list[str]:
    """What is told on stderr, without what rez says of every command, and of each failure with the time of day."""
    return [line for line in done.err.splitlines() if "Pip-based" not in line and "resolve failed, by" not in line]


def test_rez_env(studio: Studio, tmp_path: Path, packages: Path, other: Path, version: str) -> None:
    """As plain rez, but for one line."""
    plain = Studio(tmp_path / "plain", [packages], rez=other)
    for request in (["app"], ["own", "yam"], ["app", "!lib"]):
        expected, found = (one.rez("rez-env", *request, "--", "echo", "done") for one in (plain, studio))
        assert (found.code, found.out) == (expected.code, expected.out)
        more = [line for line in lines(found) if line not in lines(expected)]
        assert len(more) == 1, more
        line = more[0]
        assert f"rer-numba: {SAYS[version]}; until then rez solves alone" in line
        assert found.facts["solver"] == "rez.solver"
        off = studio.rez("rez-env", *request, "--", "echo", "done", variables={"RER_NUMBA": "off"})
        assert lines(off) == lines(expected)


def test_what_only_a_rez_that_is_known_does(studio: Studio, version: str) -> None:
    code = "from rer_numba.rez_bridge import Solver"
    done = studio.run("-c", code, variables={"PYTHONPATH": str(ROOT)})
    assert done.code == 1 and f"ConfigurationError: {SAYS[version]}" in done.err and "ModuleNotFound" not in done.err


def test_status(studio: Studio, version: str) -> None:
    done = ours(studio, "rez", "status", "--", "app")
    if version == OLD:
        assert (done.code, done.out, lines(done)) == (2, "", [f"rer-numba: {SAYS[OLD]}; until then rez solves alone"])
    else:
        assert lines(done) == [] and "solved by  rez alone" in done.out
    facts = {"hooked": False, "error": None, "rer_numba": "1", "mode": "on", "supported": False, "rez": version}
    assert commands_rez._hooked_text(facts) == f"no: {SAYS[version]}; until then rez solves alone"


def test_encode(studio: Studio, packages: Path, tmp_path: Path, version: str) -> None:
    """Options of rez, and files that only rez can load."""
    site = tmp_path / "site.rer"
    done = ours(studio, "encode", "--from-rez", "-o", str(site))
    expected = [f"rer-numba: {SAYS[OLD]}; until then rez solves alone"] if version == OLD else []
    assert (done.code, lines(done)) == (2 if version == OLD else 0, expected)
    done = ours(studio, "encode", str(packages), "-o", str(site))
    assert done.code == 0 and len(lines(done)) == (version == OLD)
    if version == OLD:
        assert lines(done)[0].startswith(f"rer-numba: warning: {SAYS[OLD]}; until then files that only rez can read")
    for request in ("app", "yam", "own"):
        done = ours(studio, "solve", "-r", str(site), request)
        needs_rez = version == OLD and request != "app"
        assert (done.code, lines(done)) == (int(needs_rez), [])
        assert (f"NeedsRezError: {'own-1' if request == 'own' else packages}" in done.out) == needs_rez
        assert (SAYS[OLD] in done.out) == needs_rez
