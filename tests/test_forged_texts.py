"""Files that somebody has made on purpose: all checksums are right, a text in them means nothing.

Whatever a user does with one ends in an answer, or in a `RepositoryCorruptError` that names the file.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rer_numba import Repository, SolveOptions, checks, store
from rer_numba.cli import main
from rer_numba.errors import RepositoryCorruptError, RepositoryVersionError
from rer_numba.schema import Tables
from rer_numba.storage import OPTIONS, PATH_SETTINGS, PATHS
from tests.random_tree import let_settle

DEFINITIONS = {
    "app/1.0": "requires = ['lib-1+<3', '!bad-2', '~weak-1']",
    "app/2.0": "requires = ['lib-2|5', '.feat-1']\nvariants = [['py-3'], ['py-2']]",
    "lib/1": "",
    "lib/2.5": "requires = ['py']\ntimestamp = 100",
    "lib/3": "requires = ['missing-1']",
    "py/2.7": "",
    "py/3.10": "build_requires = ['cmake-3']",
    "cmake/3": "",
    "weak/2": "",
    "bad/2": "requires = ['lib-1', 'lib-3']",
}
JUNK = [
    *(b"\xff\xfe", b"\xc3", b"", b"\0", b"a\0b", b"\xed\xa0\x80", b"\xed\xb2\x80", "ü".encode(), b"x" * 5000),
    *(b"..", b"/", b"-", b"app-1..2", b"!", b"~", b"foo-1<", b"==", b"1.0", b"lib", b"\n", b"../../etc", b"9" * 500),
]
REQUESTS = [["app"], ["app-1"], ["lib-3"], ["app", "!lib-2"], ["app-2", "py-2", "weak-3"], [".feat-2", "app"], ["bad"]]
OPTIONS_OF_SOLVES: list[dict[str, Any]] = [
    {},
    {"building": True},
    {"package_filter": [{"excludes": ["regex(foo-.*)", "after(10)", "lib-1"]}]},
    {"package_orderers": [{"type": "soft_timestamp", "timestamp": 50, "rank": 1}]},
    {"package_orderers": [{"type": "version_split", "first_version": "2"}]},
]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("packages")
    for place, text in DEFINITIONS.items():
        (root / place).mkdir(parents=True)
        (root / place / "package.py").write_text(text + "\n")
    let_settle(root)
    repository = Repository.from_paths([root])
    repository.save(root.parent / "site.rer")
    return repository


def texts_of(tables: Tables, pool: str) -> list[bytes]:
    data, offsets = bytes(getattr(tables, f"{pool}_bytes")), getattr(tables, f"{pool}_offsets").tolist()
    return [data[start:end] for start, end in pairwise(offsets)]


def with_text(tables: Tables, pool: str, row: int, text: bytes) -> Tables:
    texts = texts_of(tables, pool)
    texts[row] = text
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return tables._replace(
        **{f"{pool}_bytes": np.frombuffer(b"".join(texts), np.uint8), f"{pool}_offsets": offsets},
    )


def write(path: Path, tables: Tables, metadata: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checks, "check", lambda tables: None)
        store.write(tables, path, metadata)


def solve_all(path: Path, check: Any) -> None:
    repository = Repository.open(path, check=check)
    for options in OPTIONS_OF_SOLVES:
        for request in REQUESTS:
            result = repository.solve(request, **options)
            str((result.failure_description, result.resolved_packages, result.resolved_ephemerals))
            if result.error_type == "RepositoryCorruptError":
                assert str(path) in str(result.failure_description)
            assert result.error_type not in ("VersionError", "UnicodeDecodeError", "ValueError", "ConfigurationError")


def solve_batch(path: Path) -> None:
    batch = Repository.open(path, check="frozen").solve_many(REQUESTS)
    batch.to_arrow()
    for result in batch:
        str((result.failure_description, result.resolved_packages))


def read_again(path: Path) -> None:
    repository = Repository.open(path)
    repository.refresh(save=False)
    for request in REQUESTS:
        str(repository.solve(request).failure_description)


ENTRIES: dict[str, Callable[[Path], Any]] = {
    "frozen": lambda path: solve_all(path, "frozen"),
    "batch": solve_batch,
    "broken": lambda path: Repository.open(path).broken(),
    "refresh": read_again,
    "strict": lambda path: solve_all(path, "strict"),  # the last one: it may write
}


def require_answers(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["info", "--check", "strict"], ["verify"]):
        code = main([command[0], str(path), *command[1:]])
        said = capsys.readouterr().err
        assert "internal error" not in said and (code != 2 or str(path) in said), (command, said)
    for name, use in ENTRIES.items():
        said = refused(use, path)
        assert said is None or str(path) in said, name


def refused(use: Callable[[Path], Any], path: Path) -> str | None:
    """What a `RepositoryCorruptError` says; nothing else may be raised."""
    try:
        use(path)
    except RepositoryCorruptError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_forged_texts(
    seed: int,
    original: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = random.Random(seed)
    cases = [(p, n) for p in ("text", "source_text") for n in range(len(texts_of(original.tables, p)))]
    for pool, row in rng.sample(cases, 12):
        text = rng.choice(JUNK)
        path = tmp_path / f"{pool}-{row}.rer"
        write(path, with_text(original.tables, pool, row, text), original.metadata, monkeypatch)
        try:
            require_answers(path, capsys)
        except BaseException:
            print(f"{text!r} in the place of {texts_of(original.tables, pool)[row]!r}")
            raise


def test_a_pool_that_is_no_text(original: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pool in ("text", "source_text"):
        path = tmp_path / "site.rer"
        write(path, with_text(original.tables, pool, 0, b"\xff"), original.metadata, monkeypatch)
        with pytest.raises(RepositoryCorruptError, match=rf"site\.rer: is damaged: {pool}_bytes is no UTF-8 at byte 0"):
            Repository.open(path)
        tables = with_text(original.tables, pool, 1, "üx".encode())
        offsets = getattr(tables, f"{pool}_offsets").copy()
        offsets[1] += 1
        write(path, tables._replace(**{f"{pool}_offsets": offsets}), original.metadata, monkeypatch)
        with pytest.raises(RepositoryCorruptError, match="begins within a character"):
            Repository.open(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (PATH_SETTINGS, "{"),
        (PATH_SETTINGS, "[]"),
        (PATH_SETTINGS, "[" * 100_000),
        (PATH_SETTINGS, '{"file_locks": 1}'),
        (PATH_SETTINGS, '{"package_filenames": ["a/b"]}'),
        (OPTIONS, "{"),
        (OPTIONS, "null"),
        (OPTIONS, '{"no_such_option": 1}'),
        (OPTIONS, '{"timestamp": "yesterday"}'),
        (OPTIONS, '{"timestamp": 1e999}'),
        (OPTIONS, f'{{"timestamp": {"9" * 5000}}}'),
        (OPTIONS, '{"package_filter": [{"excludes": ["app-1..<2"]}]}'),
        (OPTIONS, '{"package_orderers": [{"type": "magic"}]}'),
        (OPTIONS, '{"package_orderers": [{"type": "version_split", "first_version": "1..<"}]}'),
        (OPTIONS, '{"implicit_packages": ["!"]}'),
        (PATHS, "/sw/pack\0ages"),
    ],
)
def test_forged_settings(
    name: str,
    text: str,
    original: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "site.rer"
    write(path, original.tables, {**original.metadata, name: text}, monkeypatch)
    with pytest.raises(RepositoryCorruptError, match=r"site\.rer: is damaged"):
        Repository.open(path)
    for command in ("info", "verify", "refresh"):
        assert main([command, str(path)]) == 2
        assert f"{path}: is damaged" in capsys.readouterr().err
    assert main(["solve", "-r", str(path), "app"]) == 2
    require_answers(path, capsys)


def test_settings_of_a_later_version(original: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.rer"
    monkeypatch.setattr(store, "_OWN_FORMAT", f"{store.FORMAT_MAJOR}.{store.FORMAT_MINOR + 1}")
    write(path, original.tables, {**original.metadata, OPTIONS: '{"no_such_option": 1}'}, monkeypatch)
    with pytest.raises(RepositoryVersionError, match="newer rer-numba"):
        Repository.open(path)


def test_an_opened_file_that_is_overwritten_by_a_forged_one(
    original: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is taken over while a repository is in use is read in full."""
    path = tmp_path / "site.rer"
    original.save(path)
    repository = Repository.open(path)
    write(path, original.tables, {**original.metadata, OPTIONS: "{"}, monkeypatch)
    assert repository.solve(["app"]).status == "solved"  # it has its own
    assert SolveOptions() == repository.options


def test_the_bridge_reads_the_packages(original: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = pytest.importorskip("rer_numba.rez_bridge.published")
    place = SimpleNamespace(name=lambda: "filesystem", location=original.paths[0])
    path = tmp_path / "site.rer"
    write(path, original.tables, {**original.metadata, PATH_SETTINGS: "{"}, monkeypatch)
    monkeypatch.setenv("RER_NUMBA_REPOSITORIES", str(path))
    with pytest.warns(RuntimeWarning, match=r"site\.rer: is damaged"):
        assert published.published_for([place], original.path_settings) == []
