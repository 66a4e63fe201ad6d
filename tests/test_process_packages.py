"""Packages that ask their process: not the answer of the machine that encoded, but that of the process that solves."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from rer_numba import Repository, process_packages
from rer_numba.packages import PROCESS, BrokenValue, PackageData
from rer_numba.paths import read
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.static_package import RAISES, NotPlainError
from rer_numba.rez_bridge import presence
from tests.process import run_python

pytest.importorskip("rez")

import rez
from rez.package_repository import package_repository_manager
from rez.resolved_context import ResolvedContext

from rer_numba import rez_bridge
from tests.oracle import Answer, RezOracle, _rez_filter, _rez_orderers
from tests.rez_commands import HOOK, WITH_SOURCES, Studio, write_packages
from tests.rez_folders import rez_as

SHOW = "import os\nrequires = ['lib-' + os.environ.get('SHOW_LIB', '1')]\ntimestamp = 150\n"
PLATFORM = """import platform
variants = []
if platform.system() == "Darwin":
    variants.append(["lib-2"])
elif platform.system() == "Linux":
    variants.append(["lib-1"])
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """rez with its own settings, and nothing in its caches."""
    monkeypatch.delenv("SHOW_LIB", raising=False)
    with rez_as(PathSettings()):
        yield


def add(root: Path, file: str, text: str) -> str:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Packages, published."""
    root = tmp_path / "sw"
    for version in "123":
        add(root, f"lib/{version}/package.py", f"timestamp = {version}00\n")
    add(root, "show/1/package.py", SHOW)
    add(root, "plat/1/package.py", PLATFORM)
    add(root, "user/1/package.py", "requires = ['show']\ntimestamp = 1\n")
    with patch("platform.system", lambda: "Linux"):
        Repository.from_paths([root]).save(f"{root / '.rer'}{os.sep}")
    return root


def resolved(repository: Repository, *requests: str, **options: Any) -> list[str]:
    result = repository.solve(requests, **options)
    assert result.status == "solved", result.failure_description
    return [f"{name}-{version}" for name, version, _ in result.resolved]


# ------------------------------------------------------------------------------------------------------- the two faults
@pytest.mark.parametrize("check", ["strict", "release", "frozen"])
def test_an_environment_variable(site: Path, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = [site] if check == "frozen" else None  # a frozen file runs no code that nobody vouches for
    repository = Repository.open(site / ".rer", check=check, trust=trust)
    monkeypatch.setenv("SHOW_LIB", "2")
    assert resolved(repository, "user") == ["lib-2", "show-1", "user-1"]
    assert resolved(repository, "lib") == ["lib-3"]
    repository.refresh(check="strict")
    monkeypatch.setenv("SHOW_LIB", "3")
    package_repository_manager.clear_caches()
    assert resolved(repository, "show") == ["lib-3", "show-1"]
    assert [result.resolved[0][1] for result in repository.solve_many([["show"], ["lib-2"], ["user"]])] == [
        "3",
        "2",
        "3",
    ]
    result = repository.solve(["show"])
    assert result.fallback_reason == "show-1 reads os.environ, so it has to be evaluated in the process that solves"


def test_another_platform(site: Path) -> None:
    with patch("platform.system", lambda: "Darwin"):
        assert resolved(Repository.open(site / ".rer"), "plat") == ["lib-2", "plat-1"]


def test_behind_rez(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOW_LIB", "2")
    plain = ResolvedContext(["user"], package_paths=[str(site)])
    package_repository_manager.clear_caches()
    with rez_bridge.installed():
        rez_bridge.stats.reset()
        ours = ResolvedContext(["user"], package_paths=[str(site)])
        assert rez_bridge.stats()["native"] == 1
        assert not rez_bridge.stats()["reasons"]
        rez_bridge.stats.reset()
        ResolvedContext(["lib"], package_paths=[str(site)])
        assert rez_bridge.stats()["native"] == 1
    names = [[one.qualified_name for one in context.resolved_packages or ()] for context in (plain, ours)]
    assert names[0] == names[1] == ["lib-2[]", "show-1[]", "user-1[]"]


def test_command_line(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOW_LIB", "2")
    done = run_python("-m", "rer_numba", "solve", "-r", site / ".rer", "show", "--json")
    found = [(one["name"], one["version"]) for one in json.loads(done.stdout)["resolved_packages"]]
    assert found == [("lib", "2"), ("show", "1")]


def test_an_exit_is_an_error_of_the_package(tmp_path: Path) -> None:
    add(tmp_path, "lib/1/package.py", "")
    add(tmp_path, "ends/1/package.py", "import sys\nsys.exit(3)\n")
    add(tmp_path, "late/1/package.py", "@late()\ndef requires():\n    raise SystemExit(4)\n")
    repository = Repository.from_paths([tmp_path])
    requests = [["ends"], ["late"], ["lib"]]
    for results in (map(repository.solve, requests), repository.solve_many(requests, threads=2)):
        found = [(one.status, one.error_type, one.failure_description) for one in results]
        assert found == [("error", "SystemExit", "3"), ("error", "SystemExit", "4"), ("solved", None, None)]


# --------------------------------------------------------------------------------------------------------- what is told
def test_what_the_commands_say(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rer_numba.cli import main

    assert main(["encode", str(site), "-o", str(tmp_path / "site.rer")]) == 0
    encoded = capsys.readouterr().out
    assert main(["verify", str(tmp_path / "site.rer")]) == 0  # nothing is broken
    verified = capsys.readouterr().out
    for text in (encoded, verified):
        assert "plat-1" in text and "reads platform.system" in text and "reads os.environ" in text
    assert "of process  2, evaluated by rez in each process that comes to them" in encoded
    assert "0 late, 2 of process, 0 broken" in verified
    assert main(["info", str(tmp_path / "site.rer"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["of_process"] == 2


def test_many_are_not_all_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rer_numba.cli import main

    for number in range(30):
        add(tmp_path / "sw", f"show/{number}/package.py", SHOW)
    assert main(["encode", str(tmp_path / "sw"), "-o", str(tmp_path / "site.rer")]) == 0
    out = capsys.readouterr().out
    assert "11 more" in out and "see `rer-numba verify`" in out


def test_without_rez(site: Path) -> None:
    program = (
        "import sys; sys.modules['rez'] = None\nfrom rer_numba import Repository\n"
        f"result = Repository.open({str(site / '.rer')!r}).solve(['show'])\n"
        "print(result.error_type, result.failure_description)"
    )
    done = run_python("-c", program)
    assert done.stdout.startswith(
        "NeedsRezError show-1 reads os.environ, so it has to be evaluated in the process that"
    )
    assert "pip install rez" in done.stdout
    mark = BrokenValue(PROCESS, "show-1 reads os.environ")
    with patch.object(presence, "find_spec", lambda name: None):
        found = process_packages.evaluate(str(site), "show", "1", mark, None)
        family = process_packages.evaluate_family(str(site), "show", mark, PathSettings())
    assert found.found.requires == family and isinstance(family, BrokenValue)
    assert (family.error_type, family.text.startswith("show-1 reads os.environ; only rez can")) == (
        "NeedsRezError",
        True,
    )


# ------------------------------------------------------------------------------------------------------------ the marks
def test_a_mark_knows_nothing_but_where_it_is(site: Path) -> None:
    tables = Repository.open(site / ".rer").tables
    parts = {part.name: part for part in Repository.open(site / ".rer").broken()}
    assert list(parts) == ["plat-1", "show-1"] and all(part.is_of_process for part in parts.values())
    assert parts["show-1"].uri == str(site / "show" / "1" / "package.py")
    assert len(tables.variant_package) == len(tables.package_version_rank) == 6
    assert (tables.variant_error >= 0).sum() == (tables.package_timestamp_error >= 0).sum() == 2
    assert b"darwin" not in bytes(tables.text_bytes).lower() and 150 not in tables.package_timestamp


def test_a_changed_file_is_seen(site: Path) -> None:
    repository = Repository.open(site / ".rer")
    add(site, "show/1/package.py", "requires = ['lib-3']\n")
    assert resolved(repository, "show") == ["lib-3", "show-1"]
    assert repository.solve(["show"]).fallback_reason is None


def test_families_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "lib/1/package.py", "")
    add(tmp_path, "multi.py", "import os\nversions = os.environ.get('SHOW_LIB', '1').split()\nrequires = ['lib']\n")
    add(tmp_path, "plain.py", "versions = ['%d.0' % n for n in (1, 2)]\nrequires = ['lib']\n")
    repository = Repository.from_paths([tmp_path])
    (mark,) = repository.broken()
    assert (mark.name, mark.is_of_process) == ("multi", True)
    monkeypatch.setenv("SHOW_LIB", "4 5")
    assert resolved(repository, "multi") == ["lib-1", "multi-5"]
    assert resolved(repository, "plain") == ["lib-1", "plain-2.0"] and not repository.solve(["plain"]).fallback_reason
    found = process_packages.evaluate_family(str(tmp_path), "multi", BrokenValue(PROCESS, ""), PathSettings())
    assert not isinstance(found, BrokenValue)
    assert [(one.version, one.requires) for one in found] == [("4", ["lib"]), ("5", ["lib"])]
    assert process_packages.evaluate_family(str(tmp_path), "gone", BrokenValue(PROCESS, ""), PathSettings()) == []


@pytest.mark.parametrize(
    "tag", ["!!python/name:os.environ", "!!%70ython/name:os.environ", "!<tag:yaml.org,2002:python/module:os>"]
)
def test_yaml_that_names_objects_of_python(tmp_path: Path, tag: str) -> None:
    add(tmp_path, "app/1/package.yaml", f"requires: [lib]\nx: {tag} ''\n")
    add(tmp_path, "app/2/package.yaml", "requires: ['!lib-1', 'lib']\ntools: [python/bin, '%s']\n")
    add(tmp_path, "app/4/package.yaml", "%TAG ! tag:yaml.org,2002:python/\n---\nx: !name:os.environ ''\n")
    add(tmp_path, "app/3/package.py", "requires = ['lib']\n")
    add(tmp_path, "app/3/release.yaml", f"timestamp: 5\nx: {tag} ''\n")
    add(tmp_path, "both.yaml", f"versions: ['1']\nx: {tag} ''\n")
    parts = Repository.from_paths([tmp_path]).broken()
    assert [part.name for part in parts if part.is_of_process] == ["app-4", "app-3", "app-1", "both"]


def test_what_the_evaluator_gets_wrong_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If rez loads a file that we think cannot be loaded, somebody is wrong: then the process is asked."""

    def wrong(source: bytes) -> None:
        raise NotPlainError("raises an error", RAISES)

    monkeypatch.setattr(read, "parse_static_package", wrong)
    add(tmp_path, "app/1/package.py", "requires = ['lib']\n")
    add(tmp_path, "both.py", "versions = ['1']\n")
    parts = Repository.from_paths([tmp_path]).broken()
    assert [(part.name, part.is_of_process) for part in parts] == [("app-1", True), ("both", True)]


def test_what_a_filter_hides_is_not_asked(site: Path) -> None:
    """rez does not load it either, unless a rule is about its release time."""
    repository = Repository.open(site / ".rer")
    hidden = repository.solve(["show"], package_filter=[{"excludes": ["show-1"]}])
    assert (hidden.status, hidden.fallback_reason) == ("error", None)
    timed = repository.solve(["show"], package_filter=[{"excludes": ["after(show:100)"]}])
    assert (timed.error_type, bool(timed.fallback_reason)) == ("PackageNotFoundError", True)
    assert timed.failure_description == hidden.failure_description


# --------------------------------------------------------------------------------------------------------- one is asked
def test_evaluate(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(site / "show" / "1" / "package.py")
    mark = BrokenValue(PROCESS, "")
    rez_bridge.stats.reset()
    monkeypatch.setenv("SHOW_LIB", "2")
    expected = PackageData("show", "1", ["lib-2"], timestamp=150, uri=uri)
    assert process_packages.evaluate(str(site), "show", "1", mark, uri) == expected
    monkeypatch.setenv("SHOW_LIB", "3")  # rez has loaded it, and does not load it again
    assert process_packages.evaluate(str(site), "show", "1", mark, uri) == expected
    assert rez_bridge.stats()["evaluated"] == 2
    add(site, "show/2/package.py", "import os\nrequires = [os.environ['NOT_THERE']]\n")
    broken = process_packages.evaluate(str(site), "show", "2", mark, None)
    assert isinstance(broken.found.requires, BrokenValue) and broken.found.requires.error_type == "ResourceError"
    assert "KeyError" in broken.found.requires.text or "NOT_THERE" in broken.found.requires.text


# --------------------------------------------------------------------------------------------------------- random sites
def _random_site(root: Path, rng: random.Random) -> None:
    names = ["aa", "bb", "cc", "dd"]
    for name in names:
        for version in range(1, rng.randrange(2, 5)):
            other = rng.choice(names)
            kind = rng.randrange(6)
            needs = f"'{other}-' + os.environ.get('SHOW_LIB', '1')" if kind < 2 else f"'{other}-{rng.randrange(1, 4)}'"
            lines = ["import os"]
            if other != name:
                lines.append(f"requires = [{needs}]")
            if kind == 2:
                lines.append("if os.environ.get('SHOW_LIB') == '2':\n    requires = []")
            if kind == 3:
                lines.append("variants = [['aa'], ['bb']][:int(os.environ.get('SHOW_LIB', '1'))]")
            if kind == 4:
                lines.append("if os.environ.get('SHOW_LIB') == '2':\n    raise ValueError('not here')")
            if rng.random() < 0.7:
                lines.append(f"timestamp = {rng.randrange(1, 6)}00")
            add(root, f"{name}/{version}/package.py", "\n".join(lines) + "\n")


@pytest.mark.parametrize("first", range(0, 20, 5))
def test_random_sites(tmp_path: Path, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoded in one environment, solved in another, in all options that look at packages: as rez solves there."""
    n_asked = 0
    for seed in range(first, first + 5):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        _random_site(root, rng)
        monkeypatch.delenv("SHOW_LIB", raising=False)
        repository = Repository.from_paths([root], processes=1)
        monkeypatch.setenv("SHOW_LIB", rng.choice("123"))
        requests = [rng.sample(["aa", "bb", "cc-1", "dd-2", "!aa-2", "bb<3"], rng.randrange(1, 4)) for _ in range(6)]
        orderer = {"type": "soft_timestamp", "timestamp": rng.randrange(1, 6) * 100, "rank": 0}
        orders = {"package_orderers": [orderer], "rez_version": rez.__version__}
        for options in ({}, {"timestamp": 300}, {"building": True}, orders):
            if "package_orderers" in options:
                monkeypatch.setattr("rez.config.config.packages_path", [str(root)])
            package_repository_manager.clear_caches()
            ours = [Answer.of(repository.solve(one, **options)) for one in requests]
            package_repository_manager.clear_caches()
            batch = [Answer.of(result) for result in repository.solve_many(requests, **options)]
            package_repository_manager.clear_caches()
            given = {
                "package_filter": _rez_filter(None, options.get("timestamp")),
                "package_orderers": _rez_orderers(options.get("package_orderers", ())),
                "building": options.get("building", False),
            }
            with RezOracle.at_paths([str(root)]) as oracle:
                for number, one in enumerate(requests):
                    expected = oracle._ask(one, (), given)
                    assert comparable(ours[number], root) == comparable(expected, root), (seed, one, options)
                    assert comparable(batch[number], root) == comparable(expected, root), (seed, one, options)
        n_asked += sum(repository.solve(one).fallback_reason is not None for one in requests)
    assert n_asked > 10


def comparable(answer: Answer, root: Path) -> Any:
    from dataclasses import replace

    from tests.oracle import PATHS_PLACEHOLDER

    text = answer.failure_description
    if text is not None:
        text = text.replace(PATHS_PLACEHOLDER, str(root))
    return replace(answer, failure_description=text).tier_b()


def test_what_is_encoded_without_rez_is_the_same(site: Path) -> None:
    """Marks need no rez: the same tables are made without it."""
    program = (
        "import sys; sys.modules['rez'] = None\nfrom rer_numba import Repository\n"
        f"print([part._asdict() for part in Repository.from_paths([{str(site)!r}]).broken()])"
    )
    expected = [part._asdict() for part in Repository.from_paths([site]).broken()]
    assert run_python("-c", program).stdout.strip() == str(expected)


# ----------------------------------------------------------------------------------------- no more runs than in rez
_NOTE = "import os\nwith open(os.environ['RUNS'], 'a') as file:\n    file.write({title!r} + '\\n')\n"
_RUN = {"app-1": ["heavy"], "app-2": ["lib"], "heavy-1": [], "lib-1": [], "lib-2": ["lean"], "lean-1": []}
_RUN["lean-2"] = []


@pytest.mark.parametrize("published", [False, True])
def test_only_what_rez_would_run_is_run_and_once(tmp_path: Path, published: bool) -> None:
    packages = {title: _NOTE.format(title=title) + f"requires = {requires!r}" for title, requires in _RUN.items()}
    packages["plain-1"] = "requires = ['lib']"
    site = write_packages(tmp_path / "sw", packages)
    if published:
        Repository.from_paths([site]).save(f"{site / '.rer'}{os.sep}")
    studio = Studio(tmp_path / "studio", [site], WITH_SOURCES + HOOK)
    runs = tmp_path / "runs"
    # the second command of a kind meets what the first one has kept, and the others what those have
    for request in (
        ("lib-1",),
        ("lib-1",),
        ("app",),
        ("app",),
        ("lean<2", "lib"),
        ("plain",),
        ("app-1",),
        ("lib", "!lean-2"),
    ):
        found = []
        for mode in ("off", "on"):
            runs.write_text("")
            done = studio.rez("rez-env", *request, "--", "true", variables={"RUNS": str(runs), "RER_NUMBA": mode})
            assert done.code == 0, done.err
            found.append(sorted(runs.read_text().split()))
        assert found[0] == found[1], request
