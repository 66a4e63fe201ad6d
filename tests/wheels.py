"""The wheel of this tree, built once for all processes of a test run, and environments that hold it and little else."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.process import ROOT, wait_until

VARIABLE = "RER_NUMBA_TEST_WHEEL"
"""Names a wheel to be tested, in place of one that is built here: `.ci/pythons` has one for all Pythons."""


def shared_wheel(folder: Path) -> Path:
    """Build the wheel, or wait for the process that does.

    Parameters
    ----------
    folder : Path
        The same one in all processes of a test run.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    place, built, failed = folder / "wheel", folder / "wheel built", folder / "wheel failed"
    try:
        place.mkdir()
    except FileExistsError:
        wait_until(lambda: built.exists() or failed.exists(), "the wheel")
    else:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        failed.write_text(done.stderr) if done.returncode else built.touch()
    assert not failed.exists(), failed.read_text()
    (path,) = place.glob("*.whl")
    return path


class Environment:
    """A virtual environment without pip, in which nothing is installed but a wheel.

    Parameters
    ----------
    folder : Path
        To be made.
    wheel : Path
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=os.name == "posix")
        self.folder = folder
        self.python = folder / ("bin/python" if os.name == "posix" else "Scripts/python.exe")
        (self.site,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
        with zipfile.ZipFile(wheel) as file:
            file.extractall(self.site)

    def add(self, *packages: str) -> None:
        """Copy packages of the environment that runs the tests."""
        for package in packages:
            spec = importlib.util.find_spec(package)
            assert spec is not None and spec.origin is not None
            shutil.copytree(Path(spec.origin).parent, self.site / package)

    def run(self, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter with these arguments, as a user whose home is `cwd`."""
        dropped = ("REZ_", "RER_NUMBA", "NUMBA_", "PYTHON", "XDG_", "COV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return subprocess.run(
            [str(self.python), *map(str, arguments)],
            cwd=cwd,
            env={**kept, "HOME": str(cwd), "USERPROFILE": str(cwd), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
