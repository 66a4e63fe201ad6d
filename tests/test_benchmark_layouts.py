"""The command `benchmark --layouts`: each layout made, measured and compared on a tiny tree; no times are judged."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest

from rer_numba import benchmark_layouts, cli
from rer_numba.benchmark_commands import Ran, RezCommands
from rer_numba.benchmark_departments import departments_tree
from rer_numba.benchmark_layouts import Asked, choose, measure_layouts
from rer_numba.benchmark_layouts_build import AT_ONCE, LATE, NAMES, Layout, Layouts, forget, hand_on_kernels
from rer_numba.benchmark_layouts_report import goals, print_layouts_report, row_of
from rer_numba.errors import RerError
from rer_numba.packages import PackageData
from rer_numba.progress import Progress
from rer_numba.repository import Repository
from rer_numba.tables_text import PlainOutput
from tests.random_tree import wait_a_tick
from tests.rez_commands import write_packages

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

PACKAGES = {
    "app-1": "requires = ['lib-1']",
    "app-2": "requires = ['lib-2']",
    "lib-1": "",
    "lib-2": "variants = [['base-1'], ['base-2']]",
    "base-1": "",
    "base-2": "",
}
ASKED = Asked({"small": ["lib"], "large": ["app"]}, {"small": 2, "large": 3}, "lib", "2")


@pytest.fixture
def tree(tmp_path: Path) -> str:
    pytest.importorskip("rez")
    written = write_packages(tmp_path / "packages", PACKAGES)
    wait_a_tick()
    return str(written)


@pytest.fixture
def commands(tmp_path: Path) -> RezCommands:
    (tmp_path / "kept").mkdir()
    return RezCommands(str(tmp_path / "kept"))


@pytest.fixture
def layouts(tree: str, commands: RezCommands) -> Layouts:
    return Layouts(commands, tree, "lib", "2")


def files_in(folder: str) -> set[str]:
    found = (os.path.join(above, name) for above, _, names in os.walk(folder) for name in names)
    return {os.path.relpath(file, folder) for file in found}


# -------------------------------------------------------------------------------------------------------- whole command
def test_every_layout_is_measured_and_compared(
    tree: str, commands: RezCommands, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr("rer_numba.benchmark_layouts_build.AT_ONCE", 2)
    before = files_in(tree)
    asked = ASKED._replace(requests={"small": ["lib"]})
    report = measure_layouts(commands, tree, asked, NAMES, 1, Progress(False))
    assert report["agrees"], report["differences"]
    assert [row["layout"] for row in report["rows"]] == list(NAMES)
    assert all(row["code"] == 0 and len(row["rounds"]) == 1 for row in report["rows"])
    assert files_in(tree) == before, "the packages that all layouts are copied from"
    report["packages"] = 6
    json.dumps(report)
    print_layouts_report(PlainOutput(sys.stdout, 120), report)
    text = capsys.readouterr().out
    assert "all equal: yes" in text and "mirrored or restored" in text and "second by clean" in text


def test_another_answer_is_noticed(tree: str, commands: RezCommands, monkeypatch: Patch) -> None:
    run = RezCommands.run

    def lying(self: RezCommands, environment: dict[str, str], request: list[str], *rest: Any) -> Ran:
        ran = run(self, environment, request, *rest)
        is_ours = "bridge" in environment["REZ_CONFIG_FILE"] and request == ["app"]
        return ran._replace(resolved={**ran.resolved, "REZ_USED_RESOLVE": "other"}) if is_ours else ran

    monkeypatch.setattr(RezCommands, "run", lying)
    report = measure_layouts(commands, tree, ASKED, ["clean"], 1, Progress(False))
    assert not report["agrees"]
    assert [text.partition(" is ")[0] for text in report["differences"]] == [
        f"clean, large: {kind}: REZ_USED_RESOLVE" for kind in ("first", "second")
    ]


def test_bytecode_is_there_as_after_an_installation(commands: RezCommands) -> None:
    """rez has its commands write none, so that those of a source tree would compile the bridge each time."""
    assert commands.folder
    for module in (benchmark_layouts, cli):
        assert os.path.isfile(cache_from_source(str(module.__file__)))


# -------------------------------------------------------------------------------------------------------------- layouts
def test_families_are_dealt_and_published(layouts: Layouts) -> None:
    for count in (2, 3):
        paths = layouts.make(f"dealt-{count}").paths
        families = [name for path in paths for name in os.listdir(path) if name != ".rer"]
        assert len(paths) == count and sorted(families) == ["app", "base", "lib"]
        assert all(os.path.isdir(os.path.join(path, ".rer")) for path in paths if os.listdir(path))


def test_releases_come_after_publishing(layouts: Layouts) -> None:
    (path,) = layouts.make("released-1").paths
    assert sorted(os.listdir(os.path.join(path, "lib"))) == ["1", "2", "9999.1"]
    text = Path(path, "lib", "9999.1", "package.py").read_text(encoding="utf-8")
    assert "version = '9999.1'" in text and "base-1" in text
    assert Repository.open(os.path.join(path, ".rer"), check="frozen").solve(["lib==2"]).status == "solved"
    assert Repository.open(os.path.join(path, ".rer"), check="frozen").solve(["lib-9999"]).status != "solved"
    at_once = layouts.make("release-at-once")
    assert at_once.paths == [path] and at_once.at_once == AT_ONCE and at_once.before is not None
    at_once.before()
    assert "9999.2" in os.listdir(os.path.join(path, "lib"))
    layouts.make("released-200")
    assert all("9999.3" in os.listdir(os.path.join(path, family)) for family in ("app", "base", "lib"))


def test_a_mirror_has_the_same_content_and_other_inodes(layouts: Layouts, tree: str) -> None:
    (path,) = layouts.make("mirrored").paths
    assert files_in(tree) == {file for file in files_in(path) if not file.startswith(".rer")}
    assert Repository.open(os.path.join(path, ".rer"), on_stale="error").solve(["app"]).error_type == (
        "StaleRepositoryError"
    )


def test_a_home_is_that_of_another_user(layouts: Layouts) -> None:
    layout = layouts.make("home")
    assert os.listdir(os.path.join(layout.paths[0], "mytool")) == ["1"]
    encoded = Repository.open(layout.environment["RER_NUMBA_REPOSITORIES"], check="frozen")
    assert encoded.paths[1] == layout.paths[1] and encoded.paths[0] != layout.paths[0]
    assert os.path.isdir(os.path.join(layouts.make("home-beside").paths[1], ".rer"))


def test_a_late_package_is_reached(layouts: Layouts, commands: RezCommands) -> None:
    layout = layouts.make("late")
    environment = commands.environment(commands.configure("late", layout.paths, bridge=True))
    environment.update(layout.environment)
    assert layout.is_left_to_rez and layout.also == (LATE,)
    ran = commands.run({**environment, "RER_NUMBA": "on"}, [LATE])
    assert ran.code == 0 and "lib-2" in ran.resolved["REZ_USED_RESOLVE"]


def test_an_empty_cache_keeps_kernels(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("composed", "verified"):
        (cache / name).mkdir(parents=True)
    for name in ("a.kernel", "other"):
        (cache / name).write_bytes(b"")
    forget(str(cache), everything=False)
    assert sorted(os.listdir(cache)) == ["a.kernel", "other", "verified"]
    forget(str(cache), everything=True)
    assert os.listdir(cache) == ["a.kernel"]
    hand_on_kernels(str(cache), str(tmp_path / "next"))
    hand_on_kernels(None, str(tmp_path / "next"))
    assert os.listdir(tmp_path / "next") == ["a.kernel"]
    forget(str(tmp_path / "missing"), everything=True)


# ------------------------------------------------------------------------------------------------------------- choosing
def test_requests_are_chosen_by_what_they_resolve_to() -> None:
    chain = [PackageData(f"p{number}", "1", [f"p{number + 1}"] if number < 9 else []) for number in range(10)]
    repository = Repository.from_packages([*chain, PackageData("other", "3")])
    asked = choose(repository, [["other"], ["p0"], ["p1"], ["missing"]])
    assert asked == Asked({"small": ["p4"], "large": ["p0"]}, {"small": 6, "large": 10}, "p4", "1")
    with pytest.raises(RerError, match="none of 1 families resolves to 4 to 8 packages"):
        choose(repository, [["other"]])


def test_ratios_are_those_of_a_round() -> None:
    def one(rez: float, clean: float, first: float, second: float) -> dict[str, Any]:
        return {"rez": rez, "clean": clean, "first": first, "second": second, "code": 0, "differences": []}

    row = row_of("x", Layout("an x", []), "small", [one(2, 1, 1, 1), one(4, 2, 4, 3), one(90, 50, 180, 100)])
    assert (row["rez"], row["clean"], row["first"], row["second"]) == (4, 2, 4, 3)
    assert row["second_by_clean"] == 1.5 and row["first_by_rez"] == 1.0
    assert [goal.met for goal in goals({"rows": [row]})] == [False, True]


# -------------------------------------------------------------------------------------------------------------- command
@pytest.mark.parametrize(("agrees", "code"), [(True, cli.OK), (False, cli.UNSOLVED)])
def test_command(agrees: bool, code: int, tree: str, monkeypatch: Patch, capsys: Capture) -> None:
    asked: list[tuple[list[str], int]] = []

    def measured(
        commands: RezCommands, tree: str, asked_for: Asked, names: list[str], repeat: int, progress: Progress
    ) -> dict[str, Any]:
        asked.append((names, repeat))
        return {"agrees": agrees}

    monkeypatch.setattr(benchmark_layouts, "measure_layouts", measured)
    monkeypatch.setattr(benchmark_layouts, "departments_tree", lambda cache, count: tree)
    monkeypatch.setattr(benchmark_layouts, "choose", lambda repository, requests: ASKED)
    assert cli.main(["benchmark", "--layouts", "mirrored,clean", "--repeat", "3", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {"agrees": agrees, "packages": 6}
    assert asked == [(["clean", "mirrored"], 3)], "in the order of the table"


def test_layouts_are_named(capsys: Capture) -> None:
    assert cli.main(["benchmark", "--layouts", "clean,other"]) == cli.BAD_INPUT
    assert "there is no layout 'other'; --layouts takes clean, dealt-2" in capsys.readouterr().err


def test_all_layouts_unless_told(monkeypatch: Patch) -> None:
    told: list[argparse.Namespace] = []

    def benchmark(arguments: argparse.Namespace) -> int:
        told.append(arguments)
        return cli.OK

    monkeypatch.setattr("rer_numba.benchmark_layouts.benchmark_layouts", benchmark)
    assert cli.main(["benchmark", "--layouts"]) == cli.OK
    assert told[0].layouts == "" and told[0].times == 1 and told[0].repeat == 5


def test_a_studio_of_departments_is_written_once(tmp_path: Path, monkeypatch: Patch) -> None:
    pytest.importorskip("rez")
    packages = [
        data_package("app", "1.0", ["lib-1"]),
        data_package("lib", "1.5", []),
    ]
    monkeypatch.setattr("rer_numba.benchmark_departments.iter_benchmark_packages", lambda: iter(packages))
    written = departments_tree(tmp_path, 2)
    families = sorted(os.listdir(written))
    assert len(families) == 3 and "app" in families and "lib" in families, "the base is shared"
    assert Repository.from_paths([written]).solve(["app"]).resolved
    assert departments_tree(tmp_path, 2) == written


def data_package(name: str, version: str, requires: list[str]) -> Any:
    from rer_numba.benchmark_data import DataPackage

    return DataPackage(name, version, requires, [], [], None)
