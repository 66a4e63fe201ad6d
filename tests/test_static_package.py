"""Package files read without running them: equal to what rez's loader gives, or refused."""

from __future__ import annotations

import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rer_numba.paths import static_literals, static_package, static_scopes
from rer_numba.paths.static_package import NotPlainError, StaticPackage, parse_static_package, read_static_package
from tests.package_texts import CHAIN, LITERALS, ODD, PLAIN, package_text

pytest.importorskip("rez")

from rez.package_resources import package_rex_keys
from rez.serialise import FileFormat, load_from_file
from rez.utils.scope import ScopeContext, _Scope

from rer_numba.paths.settings import PathSettings
from tests.rez_folders import rez_as
from tests.rez_views import attempt, broken, load_like, packages_of_rez, view_of_rez, write

FIELDS = ("requires", "variants", "build_requires", "timestamp")


@pytest.fixture(scope="module", autouse=True)
def rez_alone() -> Iterator[None]:
    """rez with its own settings."""
    with rez_as(PathSettings()):
        yield


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """While rez runs a file, Python warns of odd escapes in it; we do not: see test_no_warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(source: bytes) -> StaticPackage | NotPlainError:
    try:
        return parse_static_package(source)
    except NotPlainError as error:
        return error


def loaded_by_rez(path: Path, source: bytes) -> Any:
    """A dict, or what rez raises as a tuple of texts."""
    write(path, source)
    return attempt(lambda: load_from_file(str(path), FileFormat.py, disable_memcache=True))


def compare(path: Path, source: bytes) -> str:
    """Read a file in both ways. What is read without rez is what rez gives, value by value and type by type."""
    ours, theirs = read(source), loaded_by_rez(path, source)
    if isinstance(ours, NotPlainError):
        return "refused, rez fails" if isinstance(theirs, tuple) else "refused, rez loads"
    assert isinstance(theirs, dict), f"{source!r}: rez raises {theirs!r}"
    for field in FIELDS:
        expected = theirs.get(field, None if field == "timestamp" else [])
        assert repr(getattr(ours, field)) == repr(expected), f"{source!r}: {field}"
    assert ours.has_timestamp == ("timestamp" in theirs), f"{source!r}"
    return "read"


# ---------------------------------------------------------------------------------------------------- equal to live rez
@pytest.mark.parametrize("chunk", range(4))
def test_random_files(tmp_path: Path, chunk: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = Counter(
        compare(tmp_path / f"{seed}.py", package_text(random.Random(seed)))
        for seed in range(chunk * 400, chunk * 400 + 400)
    )
    assert found["read"] > 100 and found["refused, rez fails"] > 20, found


def test_random_files_in_a_solve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All the way: rez also validates what it loaded, and raises then for nothing but the texts of requirements."""
    for seed in range(300):
        write(tmp_path / "app" / str(seed) / "package.py", package_text(random.Random(5000 + seed)))
    count = 0
    for package in packages_of_rez(tmp_path, "app"):
        ours = read(Path(package.resource.filepath).read_bytes())
        if isinstance(ours, NotPlainError):
            continue
        count += 1
        assert view_of_rez(package)["timestamp"] == ours.timestamp
        theirs = load_like(tmp_path, package)
        for field in FIELDS:
            if problem := broken(getattr(theirs.found, field)):
                assert problem.text.startswith(f"Validation of key '{field}' failed: ")
                assert "PackageRequest(" in problem.text
            else:
                assert getattr(ours, field) == getattr(theirs, field)
    assert count > 100


@pytest.mark.parametrize("text", PLAIN)
def test_plain_statements(tmp_path: Path, text: str) -> None:
    assert compare(tmp_path / "package.py", text.encode()) == "read"


@pytest.mark.parametrize("text", [*ODD, *(f"x = {literal}" for literal in LITERALS)])
def test_odd_statements(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each alone, and below an honest one, which it must not change."""
    compare(tmp_path / "package.py", text.encode("utf-8", "surrogatepass"))
    compare(tmp_path / "again.py", f"requires = ['a']\ntimestamp = 3\n{text}\n".encode("utf-8", "surrogatepass"))
    compare(tmp_path / "block.py", f"with scope('s') as s:\n    {text.replace(chr(10), chr(10) + '    ')}\n".encode())


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("source", "plain"),
    [
        (b"\xef\xbb\xbf# \xc3\xa9\nx = '\xc3\xa9'\ndef commands():\n    pass\n", True),
        (b"# coding: latin-1\nrequires = ['a']\nx = '\xe9'\n", True),
        (b"# coding: latin-1\nx = '\xe9'\ndef commands():\n    pass\n", False),
        (b"# coding: latin-1\ndef commands():\n    pass\n", False),
        (b"#!\n# vim: set fileencoding=UTF8 :\ndef commands():\n    pass\n", True),
        (b"# coding: utf-7\nrequires = ['+AGE-']\n", True),
        (b"# coding: rot13\nerdhverf = ['n']\n", False),
        (b"# coding: utf-16\nrequires = []\n", False),
        (b"# coding: nothing\n", False),
        (b"# \xff\nrequires = ['a']\n", True),
        (b"# \xff\ndef commands():\n    pass\n", False),
        (b"\xff", False),
        (b"requires = ['\xff']\n", False),
        (b"requires = ['a']\n\x00", False),
        (b"\x0crequires = ['a']\n\x0c\ndef commands():\n    pass\n\x0c", True),
        (b"requires = ['a\\\nb']\n", True),
        (b"'''\n\xe2\x80\xa8'''\n\xc2\xa0\n", False),
        (b"'''\n\xe2\x80\xa8\x0b\x1c'''\n@late()\ndef tools():\n    '''\x0c\xc2\x85'''\n    return 1\n", True),
        (b"\x1a", False),
    ],
)
def test_bytes_of_all_kinds(tmp_path: Path, source: bytes, plain: bool, end: bytes) -> None:
    found = compare(tmp_path / "package.py", source.replace(b"\n", end))
    assert (found == "read") == plain


def test_what_rez_lends_to_a_file(tmp_path: Path) -> None:
    """The names that must keep their meaning, and those that objects of rez have."""
    given = loaded_by_rez(tmp_path / "names.py", b"found = sorted(globals())")
    assert {name for name in given["found"] if not name.startswith("__")} == static_literals.GIVEN
    assert set(package_rex_keys) == static_literals.REX_FUNCTIONS
    scope = ScopeContext()("name")
    scope.__enter__()
    names = {*dir(scope), *vars(scope), *dir(_Scope())}
    assert {name for name in names if not name.startswith("_")} <= static_scopes._OF_SCOPES


# -------------------------------------------------------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("requires = [", "line 1: is not valid Python"),
        ("\0", "is not valid Python"),
        ("def f(a, a):\n    pass", "is not valid Python (duplicate argument 'a' in function definition"),
        ("\ndef f():\n    break", "line 3: is not valid Python ('break' outside loop)"),
        ("requires = f()", "line 1: raises an error (name 'f' is not defined)"),
        ("x = {1: 2}", "line 1: raises an error (a key of a dict is no text)"),
        ("requires += ['x']", "line 1: raises an error (name 'requires'"),
        ("from x import y", "reads the module x"),
        ("late = 1", "line 1: sets late, which has a meaning of its own"),
        ("__builtins__ = {}", "sets __builtins__, which has a meaning of its own"),
        ("format_version = None", "format_version is no number"),
        ("def requires():\n    return []", "requires must be a list of texts, not the function requires"),
        ("@late()\ndef commands():\n    pass", "line 2: raises an error (commands cannot be a late function)"),
        ("def commands(a=f()):\n    pass", "raises an error (name 'f'"),
        ("# \xff\ndef f():\n    pass", "has functions and is not written in UTF-8"),
        ("with scope('requires') as r:\n    r.a = 1", "requires is computed by a scope"),
        ("with scope('config') as requires:\n    pass", "config is computed by a scope"),
        ("with scope('config') as late:\n    pass", "config has a meaning of its own"),
        ("with scope('config') as c:\n    c.a = f()", "has a scope that computes"),
        ("with scope('a') as a:\n    a.__dict__ = 1", "has a scope that computes"),
        (CHAIN, "has a scope that computes"),
        ("with open('x') as c:\n    pass", "reads open()"),
        ("\n".join(" " * n + "with scope('a'):" for n in range(18)) + "\n" + " " * 18 + "pass", "a scope too deep"),
        ("requires = 'lib'", "requires must be a list of texts, not 'lib'"),
        ("requires = ('lib',)", "requires must be a list of texts"),
        ("requires = ['lib', 2]", "requires must be a list of texts"),
        ("requires = [0x" + "f" * 5000 + "]", "requires must be a list of texts, not a huge number"),
        ("build_requires = None", "build_requires must be a list of texts"),
        ("variants = [['a'], 'b']", "each of the variants must be a list of texts, not 'b'"),
        ("variants = {}", "variants must be a list of lists"),
        ("timestamp = 'now'", "timestamp must be a whole number of seconds, not 'now'"),
        ("timestamp = None", "timestamp must be a whole number"),
        ("timestamp = True", "timestamp must be a whole number"),
        ("timestamp = 0x8000000000000000", "timestamp must be a whole number"),
        ("timestamp = 0x" + "f" * 5000, "timestamp must be a whole number of seconds, not a huge number"),
        ("requires = ['\\ud800']", "not valid Unicode"),
        ("requires = " + "[" * 5000 + "]" * 5000, "is not valid Python"),
    ],
)
def test_reasons(source: str, reason: str) -> None:
    found = read(source.encode("latin-1"))
    assert isinstance(found, NotPlainError) and reason in str(found)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no such syntax")
def test_newer_syntax_is_refused() -> None:
    for source in (b"def f[T](a: T):\n    pass", b"type X = int"):
        assert isinstance(read(source), NotPlainError)


# -------------------------------------------------------------------------------------------------------------- details
def test_files(tmp_path: Path) -> None:
    path = write(tmp_path / "package.py", "requires = ['a' 'b']\nvariants = [[]]\ntimestamp = 0\nrequires = ['c']")
    assert read_static_package(path) == StaticPackage(["c"], [[]], [], 0)
    assert read_static_package(Path(path)).has_timestamp
    assert parse_static_package(b"") == StaticPackage([], [], [], None)
    assert not parse_static_package(b"").has_timestamp
    for missing in (tmp_path / "none.py", tmp_path):
        with pytest.raises(OSError, match=tmp_path.name):
            read_static_package(missing)


def test_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    """A doubtful escape or comparison is a matter for the author of the package, whatever warnings are set to."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (b"x = '\\d'", b"def commands():\n    return 1 is 1", b"def commands():\n    '\\d'"):
            assert isinstance(read(source), StaticPackage)
    assert capfd.readouterr() == ("", "")


def test_values_from_elsewhere() -> None:
    """What JSON holds is checked by the same rules."""
    assert StaticPackage.of({"requires": ["a"], "x": None}) == StaticPackage(["a"], [], [], None)
    with pytest.raises(NotPlainError, match="each of the variants"):
        StaticPackage.of({"variants": [None]})
    with pytest.raises(NotPlainError, match="not valid Unicode"):
        static_package.check_text("\udc80", "uri")
