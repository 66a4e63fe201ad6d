"""Package files that compute what they say, evaluated without running them: equal to rez's loader, or refused."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rer_numba.paths.evaluator import modules
from rer_numba.paths.static_package import (
    CONSTANT,
    PROCESS,
    RAISES,
    NotPlainError,
    StaticPackage,
    parse_static_package,
)
from tests.computed_texts import computed_text
from tests.rez_views import attempt, write

pytest.importorskip("rez")

from rez.serialise import FileFormat, load_from_file

from rer_numba.paths.settings import PathSettings
from tests.rez_folders import rez_as

FIELDS = ("requires", "variants", "build_requires", "timestamp")


@pytest.fixture(scope="module", autouse=True)
def rez_alone() -> Iterator[None]:
    with rez_as(PathSettings()):
        yield


def read(source: bytes | str) -> StaticPackage | NotPlainError:
    try:
        return parse_static_package(source.encode() if isinstance(source, str) else source)
    except NotPlainError as error:
        return error


def loaded_by_rez(path: Path, source: bytes) -> Any:
    """A dict, or what rez raises as a tuple of texts."""
    write(path, source)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return attempt(lambda: load_from_file(str(path), FileFormat.py, disable_memcache=True))


def compare(path: Path, source: bytes) -> str:
    """Read a file in both ways; what belongs to the process is not run, since it may not end."""
    ours = read(source)
    if isinstance(ours, NotPlainError) and ours.kind == PROCESS:
        return PROCESS
    theirs = loaded_by_rez(path, source)
    if isinstance(ours, NotPlainError):
        assert ours.kind in (CONSTANT, RAISES)
        assert isinstance(theirs, tuple) == (ours.kind == RAISES), (source.decode(), ours, theirs)
        return ours.kind
    assert isinstance(theirs, dict), (source.decode(), theirs)
    for field in FIELDS:
        expected = theirs.get(field, None if field == "timestamp" else [])
        assert repr(getattr(ours, field)) == repr(expected), (source.decode(), field)
    assert ours.has_timestamp == ("timestamp" in theirs)
    return "read"


@pytest.mark.parametrize("chunk", range(4))
def test_random_files(tmp_path: Path, chunk: int) -> None:
    seeds = range(chunk * 300, chunk * 300 + 300)
    found = Counter(compare(tmp_path / f"{seed}.py", computed_text(random.Random(seed))) for seed in seeds)
    assert min(found["read"], found[PROCESS], found[RAISES]) > 50 and found[CONSTANT] > 5, found


@pytest.mark.each_rez
@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("int", "read"), ("'text'", "read"), ("list[str] | None", "read"), ("dict[str, list[int]]", "read"),
        ("undefined", PROCESS), ("'a' | None", PROCESS), ("int[str]", PROCESS), ("print(1)", PROCESS),
    ],
)  # fmt: skip
def test_annotations_that_some_versions_of_rez_evaluate(tmp_path: Path, note: str, expected: str) -> None:
    """Up to 3.3 they fail, or do something."""
    for place in (
        f"def f(x: {note}): pass",
        f"def f(*, x: {note} = 1): pass",
        f"def f() -> {note}: pass",
        f"y: {note} = 1",
    ):
        assert compare(tmp_path / "one.py", f"requires = ['a' + '-1']\n{place}\n".encode()) == expected
        lazy = f"from __future__ import annotations\nrequires = ['a' + '-1']\n{place}\n"
        assert compare(tmp_path / "lazy.py", lazy.encode()) == "read"
    hidden = "def int(): pass\ndef f(x: int): pass\nrequires = ['a' + '-1']\n"
    assert compare(tmp_path / "hidden.py", hidden.encode()) == PROCESS


READ = [
    ("import os, platform\nrequires = ['a']\ndef commands():\n    env.X = os.sep", ["a"]),
    ("name = 'n'\nrequires = ['%s_core-1' % name, '{}-2'.format(name), f'{name}-3']", ["n_core-1", "n-2", "n-3"]),
    ("requires = []\nfor n in range(3):\n    if n != 1:\n        requires.append('a-' + str(n))", ["a-0", "a-2"]),
    ("_base = ['a']\nrequires = _base + ['b']\n_base.append('c')", ["a", "b"]),
    ("_base = ['a']\nrequires = _base\n_base += ['b']", ["a", "b"]),
    ("@early()\ndef requires():\n    return ['x'] + this.tools\ntools = ['y']", ["x", "y"]),
    ("def _r(n, tail='z'):\n    return [n, tail]\nrequires = _r('a')", ["a", "z"]),
    ("requires = [x + '-1' for x in 'ab' if x != 'b']", ["a-1"]),
    ("from rez.utils.lint_helper import env, building\nrequires = ['a'] if env is None else []", ["a"]),
    ("if __name__ == '__main__':\n    requires = ['main']\nelse:\n    requires = ['a']", ["a"]),
    ("requires: list[str] = ['a']", ["a"]),
    ("__base = 'a'\nrequires = [__base]", ["a"]),
    ("d = {'k': ['a']}\nd['k'] += ['b']\nrequires = d['k']", ["a", "b"]),
    ("requires = sorted({'b', 'a', 'c'})", ["a", "b", "c"]),
    ("a, (b, c) = '1', ('2', '3')\nrequires = [a + b + c]", ["123"]),
    ("import platform\n@late()\ndef tools():\n    return [platform.system()]\nrequires = ['a']", ["a"]),
]


@pytest.mark.parametrize(("source", "requires"), READ)
def test_what_is_evaluated(tmp_path: Path, source: str, requires: list[str]) -> None:
    assert compare(tmp_path / "package.py", source.encode()) == "read"
    found = read(source)
    assert isinstance(found, StaticPackage) and found.requires == requires


OF_PROCESS = [
    ("import os\nrequires = ['lib-' + os.environ.get('SHOW_LIB', '1')]", "reads os.environ"),
    (
        "import platform\nvariants = []\nif platform.system() == 'Darwin':\n    variants.append(['x'])",
        "reads platform.system",
    ),
    ("from sys import platform\nrequires = [platform]", "reads sys.platform"),
    ("import socket as s\nrequires = [s.gethostname()]", "reads socket.gethostname"),
    ("from rez.system import system\nrequires = ['os-' + system.os]", "reads rez.system.system.os"),
    ("requires = open('/x').read().split()", "reads open()"),
    ("import time\ntimestamp = int(time.time())", "reads time.time"),
    ("@early()\ndef requires():\n    import os\n    return [os.name]", "reads os.name"),
    ("@early()\ndef requires():\n    return ['a'] if building else []", "line 2: reads building"),
    ("import studio_defaults\nrequires = studio_defaults.COMMON", "reads studio_defaults.COMMON"),
    ("from studio_defaults import COMMON", "reads the module studio_defaults"),
    ("from json import *", "line 1: imports * from json"),
    ("requires = list({'a', 'b'})", "line 1: iterates over a set"),
    ("requires = {'a', 'b'}", "requires must be a list of texts, and holds a set"),
    ("requires = (x for x in 'ab')", "line 1: uses a generator"),
    ("requires = [str(id(1))]", "line 1: uses id"),
    ("x = ().__class__", "line 1: reads the attribute __class__"),
    ("x = '{0.__class__}'.format(1)", "line 1: formats a text with parts of a value"),
    ("try:\n    import a\nexcept ImportError:\n    pass", "reads the module a"),
    ("class A:\n    pass", "line 1: has a statement that is not evaluated (classdef)"),
    ("x = 'é'.upper()", "line 1: works on letters beyond ASCII"),
    ("x = 'a'\nfor _ in range(40):\n    x += x", "line 3: takes long to evaluate"),
    ("from os import name as requires", "line 1: uses os.name"),
]


@pytest.mark.parametrize(("source", "reason"), OF_PROCESS)
def test_what_belongs_to_the_process(source: str, reason: str) -> None:
    found = read(source)
    assert isinstance(found, NotPlainError) and found.kind == PROCESS
    assert str(found).startswith(reason)


ENDLESS = [
    "x = 'a' * 10**9", "x = 'a' * 999999999", "x = [0] * 99999999", "x = range(10 * 1000000000)",
    "x = list(range(99999999))", "x = 10 ** 10 ** 10", "x = 1 << 999999999", "x = '%999999999d' % 1",
    "x = '%*d' % (999999999, 1)", "x = f'{1:999999999}'", "x = '{:>999999999}'.format(1)", "x = 'a'.ljust(999999999)",
    "x = ('a' * 9999).replace('a', 'b' * 9999)", "while True:\n    pass", "x = [1]\nfor y in x:\n    x.append(y)",
    "x = [1]\nx.extend(y for y in x)", "def f(x):\n    return f(x)\nf(1)", "def f(x):\n    return f(f(x))\nf(1)",
    "x = [[]]\nfor _ in range(60):\n    x = [x, x]\nx == x", "x = {}\nx['x'] = x\nstr(x)", "x = {}\nx['x'] = x",
    "x = []\nx.append(x)\nx == x", "x = 9\nfor _ in range(40):\n    x = x * x", "x = " + "+".join(["1"] * 3000),
    "x = ','.join(['a' * 9999] * 9999)", "x = '{0}' * 9999\nx = x.format('a' * 9999)", "x = sum(range(99999999))",
    "x = 'a' in ['b'] * 40000 + ['a'] * 40000", "x = all(y for y in zip('ab' * 99999, 'cd' * 99999))",
    "x = [1 for a in range(999) for b in range(999) for c in range(999)]",
]  # fmt: skip


@pytest.mark.parametrize("source", ENDLESS)
def test_nothing_takes_long(source: str) -> None:
    """Whatever a file computes is given up soon; generous, since machines are loaded: most take a millisecond."""
    start = time.process_time()
    read(source)
    assert time.process_time() - start < 5


def test_modules_do_nothing_when_they_are_imported() -> None:
    """Those that may be imported are there, say nothing and are quick; what is taken from them is no dict."""
    lines = [f"import {name}" for name in sorted(modules.STANDARD)]
    for name, items in modules.NAMES.items():
        lines.append(f"from {name} import {', '.join(sorted(items))}")
        lines += [f"assert not isinstance({item}, dict)" for item in sorted(items)]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_same_in_every_process(tmp_path: Path) -> None:
    """What is constant, rez says in the same words whatever the hash seed, the folder and the variables are."""
    files = []
    for seed in range(5000, 5200):
        source = computed_text(random.Random(seed))
        found = read(source)
        if not (isinstance(found, NotPlainError) and found.kind == PROCESS):
            files.append(write(tmp_path / "files" / f"{seed}.py", source))
    program = (
        "import sys, contextlib, io\nfrom rez.serialise import load_from_file, FileFormat\n"
        "for file in sys.argv[1:]:\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(io.StringIO()):\n"
        "            found = load_from_file(file, FileFormat.py, disable_memcache=True)\n"
        f"        print(repr([found.get(key) if not hasattr(found.get(key), 'func') else 0 for key in {FIELDS!r}]))\n"
        "    except Exception as error:\n"
        "        print(repr(str(error)))\n"
    )
    said = set()
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": number, "HOME": str(tmp_path / number), "SHOW_LIB": number}
        done = subprocess.run(
            [sys.executable, "-c", program, *files],
            capture_output=True, check=True, text=True, env=environment, cwd=tmp_path / number, timeout=300,
        )  # fmt: skip
        said.add(done.stdout)
    (one,) = said
    assert len(one.splitlines()) == len(files) > 100
