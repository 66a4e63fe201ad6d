"""What a checker of types sees of the public names: options that are spelled wrong, or of a wrong type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rer_numba import PackageData, Repository, SolveOptions, SolveResult
from rer_numba.options import Overrides
from tests.process import PATIENCE, ROOT

SNIPPET = """
from rer_numba import Repository, Request, SolveResult

def ask(repository: Repository) -> SolveResult | None:
    result = repository.solve(["app"], timestamp=5, building=True, implicit_packages=["~lib-1"])
    repository.solve_many([Request(["app"], timestamp=None)], package_filter={"excludes": ["app-1"]})
    repository.solve(["app"], timestmp=5)
    repository.solve(["app"], timestamp="5")
    repository.solve_many([], bulding=True)
    repository.solve_iter([], implicit_package=())
    Request(["app"], variant_mode="version_priority")
    return result if result else None
"""
WRONG = {7: "timestmp", 8: "timestamp", 9: "bulding", 10: "implicit_package", 11: "variant_mode"}
"""Line of the snippet -> what is wrong there."""


def test_a_checker_sees_misspelled_options(tmp_path: Path) -> None:
    """Each wrong line of the snippet is reported, under the name of the option, and no other line is."""
    pytest.importorskip("mypy")
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    told = [line for line in done.stdout.splitlines() if "snippet.py:" in line and " error: " in line]
    assert done.returncode == 1, done.stderr
    assert [int(line.partition("snippet.py:")[2].partition(":")[0]) for line in told] == list(WRONG), done.stdout
    for line, name in zip(told, WRONG.values(), strict=True):
        assert name in line


def test_the_names_of_options_are_written_twice() -> None:
    """As fields, and for checkers: they are the same."""
    assert tuple(Overrides.__annotations__) == SolveOptions.names()


def test_a_result_is_true_when_solved() -> None:
    """So that it can be asked; a solved request without packages is true as well."""
    repository = Repository.from_packages([PackageData("app", "1"), PackageData("lib", "1", ["app-2"])])
    assert repository.solve(["app"])
    assert repository.solve([])
    for request in (["app-2"], ["lib"], ["app", "!app"]):
        assert not repository.solve(request)
    for status in ("failed", "error", "aborted", "cancelled"):
        assert not SolveResult(status)
    assert [bool(one) for one in repository.solve_many([["app"], ["lib"]])] == [True, False]
