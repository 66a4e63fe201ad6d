"""`rer-numba rez status`: what it finds, in which words, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rez_commands import HOOK, ROOT, WITH_SOURCES, Studio, write_packages

PACKAGES = {
    "app-1": "requires = ['lib-1']",
    "lib-1": "",
    "late-1": "@late()\ndef requires():\n    return ['lib']",
    "failing-1": "@late()\ndef requires():\n    raise ValueError('mine')",
    "exits-1": "import sys\nsys.exit(3)",
    "bad-1": "requires = ['lib-1', '!lib-1']",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packages(tmp_path_factory.mktemp("packages"), PACKAGES)


@pytest.fixture
def studio(tmp_path: Path, packages: Path) -> Studio:
    return Studio(tmp_path / "studio", [packages], WITH_SOURCES + HOOK)


def status(studio: Studio, *arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Exit code, and what --json tells."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    done = studio.run(
        "-m", "rer_numba", "rez", "status", "--json", *arguments,
        variables={"PYTHONPATH": str(ROOT), "PATH": path, **(variables or {})},
    )  # fmt: skip
    assert done.out, done.err
    return done.code, json.loads(done.out)


@pytest.mark.each_rez
def test_hooked(studio: Studio, packages: Path) -> None:
    code, facts = status(studio)
    assert code == 0 and facts["hooked"] and facts["supported"] and facts["hooked_in"] == str(studio.config)
    assert facts["repositories"] == [{"path": str(packages), "file": None, "changed": None}]
    assert facts["request"] is None and facts["mode"] == "on" and facts["error"] is None


@pytest.mark.parametrize(
    ("request_", "code", "expected"),
    [
        ("app", 0, {"status": "solved", "native": 1, "fallback": 0, "packages": ["lib-1[]", "app-1[]"]}),
        ("late", 0, {"status": "solved", "native": 1, "fallback": 0}),
        ("failing", 1, {"status": "error", "fallback": 1}),
        ("exits", 1, {"status": "error", "failure": "SystemExit: 3"}),
        ("app !lib", 1, {"status": "failed", "native": 1, "fallback": 0}),
        ("nothing", 1, {"status": "error", "fallback": 0}),
        ("bad", 1, {"status": "error", "fallback": 0}),
    ],
)
def test_request(studio: Studio, request_: str, code: int, expected: dict[str, Any]) -> None:
    """Who solves it, and what comes of it."""
    found_code, facts = status(studio, "--", *request_.split())
    told = facts["request"]
    assert (found_code, {name: told[name] for name in expected}) == (code, expected), told
    assert (expected["status"] == "solved") == (told["failure"] == "")
    assert sum(told["reasons"].values()) == told["fallback"] and told["seconds"] > 0


@pytest.mark.each_rez
def test_not_hooked(tmp_path: Path, packages: Path, studio: Studio) -> None:
    """No line in the file; or the switch is off."""
    code, facts = status(Studio(tmp_path / "other", [packages]))
    assert code == 1 and not facts["hooked"] and facts["hooked_in"] is None
    code, facts = status(studio, variables={"RER_NUMBA": "off"})
    assert code == 1 and not facts["hooked"] and facts["mode"] == "off"


def test_encoded_repository(tmp_path: Path) -> None:
    """Current; then a package is released."""
    packages = write_packages(tmp_path / "packages", PACKAGES)
    encode = [sys.executable, "-m", "rer_numba", "encode", str(packages), "-o", f"{packages / '.rer'}/"]
    subprocess.run(encode, cwd=ROOT, check=True, capture_output=True)
    studio = Studio(tmp_path / "studio", [packages], WITH_SOURCES + HOOK)
    (one,) = status(studio)[1]["repositories"]
    assert one["changed"] == 0 and Path(one["file"]).parent == packages / ".rer"
    write_packages(packages, {"lib-2": ""})
    (one,) = status(studio)[1]["repositories"]
    assert one["changed"] == 1


def test_text(studio: Studio, tmp_path: Path, packages: Path) -> None:
    """For a person: each fact on a line, and what to do about it."""
    variables = {"PYTHONPATH": str(ROOT)}
    done = studio.run("-m", "rer_numba", "rez", "status", "late", variables=variables)
    rows = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert done.code == 0 and rows["hooked"] == f"yes, by {studio.config}"
    assert "solved by  rer-numba" in done.out
    done = Studio(tmp_path / "other", [packages], WITH_SOURCES).run(
        "-m", "rer_numba", "rez", "status", variables=variables
    )
    assert done.code == 1 and f"no configuration file has the line {HOOK}" in done.out
    done = studio.run("-m", "rer_numba", "rez", variables=variables)
    assert done.code == 2 and "rez --help" in done.err


def test_a_rez_that_cannot_start(tmp_path: Path, packages: Path) -> None:
    """The reason is told, with rez's own words."""
    from rer_numba.rez_bridge.status import probe

    studio = Studio(tmp_path / "studio", [packages], "import no_such_module_anywhere")
    os.environ["REZ_CONFIG_FILE"] = str(studio.config)
    try:
        facts = probe(sys.executable)
    finally:
        del os.environ["REZ_CONFIG_FILE"]
    assert "no_such_module_anywhere" in facts["error"] and "hooked" not in facts
    assert "error" in probe(str(tmp_path / "no python"))
