"""Packages from trees and JSON files: read, never run; what cannot be read is told in full."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rer_numba import cli, package_files, static_package, studio
from rer_numba.package_files import PackageFilesError, read_packages
from rer_numba.static_package import NotPlainError, parse_static_package

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *argv: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.main([str(text) for text in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


INSTALLED = '''
# as rez writes it when it installs a package
name = 'app'

version = '1.0'

description = """Does
things."""

requires = [
    'lib-2+<3',
    '!tool-1'
]

variants = [
    ['platform-linux', 'python-3.10'],
    ['platform-linux', 'python-3.11']
]

def commands():
    env.PATH.append("{root}/bin")

@late()
@include("shared")
def tools(in_context=True):
    return ["app"]

with scope('config') as c:
    c.release_packages_path = '/sw/packages'
    c.plugins.build_system.cmake.install_pyc = False

hashed_variants = True

timestamp = 1700000000

format_version = 2
'''


def test_tree_of_package_files(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "sw",
        {
            "app/1.0/package.py": INSTALLED,
            "app/.building2.0": "",
            "app/2.0/notes.txt": "",
            "app/3.0/package.py": "import nothing",
            "app/.ignore3.0": "",
            "app/.hidden/package.py": "import nothing",
            "free/package.py": "name = 'free'",
            "free/1/package.py": "import nothing",
            "lib/2-5/package.py": "version = 'another'\nbuild_requires = ['cmake']",
            "not a package/1/package.py": "import nothing",
            "settings.yaml": "",
            "lib.yaml": "hidden by the folder",
        },
    )
    found = {package.name: package for package in read_packages(str(root))}
    assert sorted(found) == ["app", "free", "lib"]
    app = found["app"]
    assert (app.version, app.requires, app.timestamp) == ("1.0", ["lib-2+<3", "!tool-1"], 1700000000)
    assert app.variants == [["platform-linux", "python-3.10"], ["platform-linux", "python-3.11"]]
    assert app.uri == str(root / "app" / "1.0" / "package.py")
    assert found["free"].version == ""
    assert (found["lib"].version, found["lib"].build_requires) == ("2-5", ["cmake"])


def test_tree_keeps_the_order_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p{n}/{version}" for n in (3, 1, 2) for version in ("2", "10", "1")]
    root = write_tree(tmp_path, {f"{name}/package.py": "" for name in names})
    listed = {str(root): ["p3", "p1", "p2"], **{str(root / f"p{n}"): ["2", "10", "1"] for n in (1, 2, 3)}}
    monkeypatch.setattr(package_files.os, "listdir", lambda path: listed[str(path)])
    assert [f"{package.name}/{package.version}" for package in read_packages(str(root))] == names


def test_tree_tells_every_file_that_is_not_plain(capsys: Capture, tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "sw",
        {
            "good/1/package.py": "requires = ['lib']",
            "a/1/package.py": "import os\nrequires = []",
            "b/1/package.py": "requires = ['lib-' + '2']",
            "c/1/package.yaml": "requires: [lib]",
            "d.py": "versions = ['1']",
            "e/1/readme.txt": "",
        },
    )
    code, out, err = run(capsys, "encode", root, "-o", tmp_path / "x.rer")
    assert (code, out) == (cli.BAD_INPUT, "")
    head, *lines = err.splitlines()
    assert head.startswith("rer-numba: 5 package files cannot be read; computed packages need rez")
    assert sorted(line.strip().removeprefix(str(root) + os.sep) for line in lines) == [
        f"a{os.sep}1{os.sep}package.py: line 1: imports a module",
        f"b{os.sep}1{os.sep}package.py: line 1: requires is computed",
        f"c{os.sep}1{os.sep}package.yaml: is a YAML package",
        "d.py: holds all versions of a package in one file",
        f"e{os.sep}1: holds no package.py",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageFilesError, match="holds no packages; it must have files NAME/VERSION"):
        read_packages(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("requires = [", "line 1: is not valid Python"),
        ("\0", "is not valid Python"),
        ("requires = f()", "line 1: requires is computed"),
        ("description = open('x').read()", "line 1: description is computed"),
        ("requires += ['x']", "line 1: has a statement"),
        ("requires.append('x')", "line 1: has a statement"),
        ("a = requires = ['x']", "line 1: has a statement"),
        ("if True:\n    requires = []", "line 1: has a statement"),
        ("from x import y", "line 1: imports a module"),
        ("def requires():\n    return []", "line 1: requires is computed by a function"),
        ("@early()\ndef description():\n    return ''", "description has a decorator"),
        ("@later\ndef tools():\n    return ''", "tools has a decorator"),
        ("def commands(a=f()):\n    pass", "commands has computed defaults"),
        ("def scope(a):\n    pass", "scope is computed"),
        ("with scope('requires') as r:\n    r.a = 1", "requires is computed by a scope"),
        ("with scope('config') as requires:\n    pass", "is computed by a scope"),
        ("with scope('config') as c:\n    c.a = f()", "has a scope that computes"),
        ("with open('x') as c:\n    pass", "line 1: has a statement"),
        ("requires = 'lib'", "requires must be a list of texts, not 'lib'"),
        ("requires = ('lib',)", "requires must be a list of texts"),
        ("requires = ['lib', 2]", "requires must be a list of texts"),
        ("build_requires = None", "build_requires must be a list of texts"),
        ("variants = [['a'], 'b']", "each of the variants must be a list of texts, not 'b'"),
        ("variants = {}", "variants must be a list of lists"),
        ("timestamp = 'now'", "timestamp must be a whole number"),
        ("requires = ['\\ud800']", "not valid Unicode"),
        ("requires = " + "[" * 5000 + "]" * 5000, ""),
    ],
)
def test_file_that_is_not_plain(source: str, reason: str) -> None:
    with pytest.raises(NotPlainError) as caught:
        parse_static_package(source.encode())
    assert reason in str(caught.value)


def test_plain_files() -> None:
    assert parse_static_package(b"") == static_package.StaticPackage([], [], [], None)
    again = b"# coding: latin-1\nrequires = ['a']\nrequires = ['b' 'c']\nx = '\\d \xe9'"
    assert parse_static_package(again).requires == ["bc"]
    assert parse_static_package(INSTALLED.encode()).timestamp == 1700000000


def test_tree_means_what_rez_reads_in_it(tmp_path: Path) -> None:
    """The studio as a tree: the same answers from rez, which runs the files, and from us, who do not."""
    pytest.importorskip("rez")
    from rer_numba.repository import Repository
    from tests.oracle import Answer, RezOracle

    for package in studio.studio_packages():
        write_tree(tmp_path, {f"{package.name}/{package.version}/package.py": as_installed(package)})
    repository = Repository.from_packages(read_packages(str(tmp_path)), paths=(str(tmp_path),))
    with RezOracle.at_paths([str(tmp_path)]) as oracle:
        for name in ("maya_lighting", "nuke_archive", "conflict_gpu", "build_geo_cache", "missing_library"):
            request = studio.studio_requests()[name]
            answer = repository.solve(request.requests, **request.options)
            assert Answer.of(answer).tier_a() == oracle.solve(request.requests, **request.options).tier_a()


def as_installed(package: Any) -> str:
    keys = ("name", "version", "requires", "variants", "build_requires", "timestamp")
    values = {key: getattr(package, key) for key in keys}
    lines = [f"{key} = {value!r}" for key, value in values.items() if value]
    return "\n\n".join([*lines, "def commands():\n    env.PATH.append('{root}/bin')", "format_version = 2"])


def test_json_sources(tmp_path: Path) -> None:
    items = [
        {"name": "b", "version": "2", "requires": ["a"], "uri": "here", "description": "not looked at"},
        {"name": "a", "version": None, "requires": None, "variants": [], "timestamp": 7},
        {"name": "b", "version": "1"},
    ]
    (tmp_path / "list.json").write_text(json.dumps(items))
    (tmp_path / "object.json.gz").write_bytes(gzip.compress(json.dumps({"packages": items}).encode()))
    for name in ("list.json", "object.json.gz"):
        found = read_packages(str(tmp_path / name))
        assert [(p.name, p.version, p.requires, p.uri) for p in found] == [
            ("b", "2", ["a"], "here"),
            ("a", "", [], None),
            ("b", "1", [], None),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"{}", "has no list of packages"),
        (b"7", "has no list of packages"),
        (b"[7]", "package 0: must be an object, not 7"),
        (b'[{"version": "1"}]', "package 0: has no name"),
        (b'[{"name": 1}]', "package 0: name must be a text"),
        (b'[{"name": "a", "version": 1.0}]', "package 0 (a): version must be a text, not 1.0"),
        (b'[{"name": "a", "requires": "b"}]', "package 0 (a): requires must be a list of texts"),
        (b'[{"name": "a", "requires": ["\\ud800"]}]', "not valid Unicode"),
        (b'[{"name": "a", "uri": "\\ud800"}]', "uri holds '\\ud800', which is not valid Unicode"),
        (b'[{"name": "a", "timestamp": 1e3}]', "package 0 (a): timestamp must be"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_bad_json(content: bytes, message: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    code, _, err = run(capsys, "encode", path, "-o", tmp_path / "x.rer")
    assert code == cli.BAD_INPUT and message in err and "it must be JSON" in err
    (tmp_path / "bad.json.gz").write_bytes(content)
    with pytest.raises(PackageFilesError, match="is not JSON"):
        read_packages(str(tmp_path / "bad.json.gz"))
