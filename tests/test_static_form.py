"""Package files read by the names that users of pyrer know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import PackageData, parse_static_package_py, parse_static_packages_py

PLAIN = "name = 'a'\nversion = '1'\n"


PLAIN_PACKAGES = [
    (PLAIN, PackageData("a", "1")),
    (PLAIN + "requires = ['b-2', '!c']\n", PackageData("a", "1", ["b-2", "!c"])),
    (PLAIN + "variants = [['b'], ['c']]\n", PackageData("a", "1", None, [["b"], ["c"]])),
    (PLAIN + "build_requires = ['z']\ntimestamp = 5\n", PackageData("a", "1", build_requires=["z"], timestamp=5)),
    (PLAIN + "def commands():\n    name = 'b'\n", PackageData("a", "1")),
    ("name = 'a'\nversion = ''\n", PackageData("a", "")),
    (PLAIN + "description = 'é'\n", PackageData("a", "1")),
]


@pytest.mark.parametrize(("source", "package"), PLAIN_PACKAGES)
def test_plain(source: str, package: PackageData) -> None:
    assert parse_static_package_py(source) == package


@pytest.mark.parametrize(("source", "package"), PLAIN_PACKAGES)
def test_plain_as_by_pyrer(source: str, package: PackageData) -> None:
    pyrer = pytest.importorskip("pyrer")
    theirs = pyrer.parse_static_package_py(source)
    assert (theirs.name, theirs.version, theirs.requires, theirs.variants) == (
        package.name,
        package.version,
        package.requires,
        package.variants,
    )


@pytest.mark.parametrize(
    "source",
    [
        "name = 'a'\n",
        "version = '1'\n",
        "name = 'a'\nversion = 1\n",
        "name = 'a b'\nversion = '1'\n",
        "name = 'a'\nversion = '1..2'\n",
        PLAIN + "name = name + 'b'\n",
        PLAIN + "name += 'b'\n",
        PLAIN + "requires = ('b',)\n",
        PLAIN + "@late()\ndef requires():\n    return []\n",
        PLAIN + "requires = [\n",
        PLAIN + "if name:\n    version = '2'\n",
        PLAIN + "description = '\ud800'\n",
        "\0",
        "",
    ],
)
def test_left_to_rez(source: str) -> None:
    assert parse_static_package_py(source) is None


def test_files(tmp_path: Path) -> None:
    """Aligned with the paths; what cannot be read is None."""
    for name, source in (("a", PLAIN), ("b", PLAIN.replace("'a'", "'b'")), ("c", PLAIN), ("d", "x = [")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "package.py").write_text(source)
    (tmp_path / "c" / "release.yaml").write_text("timestamp: 5\n")
    paths = [tmp_path / name / "package.py" for name in "abcde"]
    found = parse_static_packages_py(paths)
    assert [one and (one.name, one.uri) for one in found] == [
        ("a", str(paths[0])),
        ("b", str(paths[1])),
        None,
        None,
        None,
    ]
    assert parse_static_packages_py(iter(["\0", str(tmp_path)])) == [None, None]


def test_wrong_types() -> None:
    refuses_wrong_types(parse_static_package_py, parse_static_packages_py)


def test_wrong_types_as_by_pyrer() -> None:
    pyrer = pytest.importorskip("pyrer")
    refuses_wrong_types(pyrer.parse_static_package_py, pyrer.parse_static_packages_py)


def refuses_wrong_types(one: Callable[[Any], object], many: Callable[[Any], object]) -> None:
    """Bytes for a source; a path, or things that are none, for paths."""
    with pytest.raises(TypeError):
        one(PLAIN.encode())
    for wrong in ([5], "package.py"):
        with pytest.raises(TypeError):
            many(wrong)
