"""`rer-numba benchmark --env`: whole commands on a small tree, and the comparing without any."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rer_numba import benchmark_env, benchmark_report, cli
from rer_numba.benchmark_commands import Ran, difference, resolved_in
from rer_numba.benchmark_env import KINDS, Studio, summary
from rer_numba.benchmark_steps import encode
from rer_numba.errors import RerError
from rer_numba.progress import Progress
from rer_numba.rez_bridge.env_split import Clock
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
REQUESTS = [["app"], ["app<2"], ["app-1", "lib-2"], ["lib", "base<2"]]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """Published as the command does it; dated to the past, so that every look at a file is sure."""
    pytest.importorskip("rez")
    tree = write_packages(tmp_path / "packages", PACKAGES)
    for path in sorted(tree.rglob("*"), reverse=True):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    wait_a_tick()
    (tmp_path / "kept").mkdir()
    made = Studio(str(tmp_path / "kept"), str(tree))
    encode(str(tree), 1, made.published)
    return made


# ------------------------------------------------------------------------------------------------------------ commands
def test_both_are_measured_and_compared(studio: Studio, capsys: Capture) -> None:
    report = benchmark_env.measure_env(studio, REQUESTS, 4, Progress(False))
    assert report["agrees"] and report["differences"] == []
    assert [run["number"] for run in report["runs"]] == [0, 1, 3]
    assert report["unsolved"] == [2], "rez does not solve it, and it is compared all the same"
    assert [report["kinds"][kind]["requests"] for kind in KINDS] == [3, 3, 2]
    for kind in KINDS:
        assert report["split"][kind]["solving"] > 0 and report["split"][kind]["shell and command"] > 0
    assert "importing rer-numba" in report["split"]["published"]
    assert "importing rer-numba" not in report["split"]["rez"]
    json.dumps(report)
    benchmark_env.print_env_report(PlainOutput(sys.stdout, 120), report)
    text = capsys.readouterr().out
    assert "all equal: yes" in text and "1 requests that rez does not solve" in text


def test_what_a_command_resolved_is_told(studio: Studio) -> None:
    ran = studio.run("published", ["app"])
    assert ran.code == 0 and ran.seconds > 0
    assert ran.resolved["REZ_USED_RESOLVE"] == "base-2 lib-2 app-2"
    assert ran.resolved["REZ_LIB_ROOT"].endswith(os.path.join("lib", "2", "base-2"))
    assert ran.resolved == studio.run("rez", ["app"]).resolved == studio.run("unpublished", ["app"]).resolved


def test_another_answer_is_noticed(studio: Studio) -> None:
    older = studio.run("rez", ["app<2"])
    assert difference(studio.run("published", ["app"]), older)[0].startswith("REZ_USED_RESOLVE is ")
    assert difference(studio.run("published", ["app-1", "lib-2"]), older)[0].startswith("exit code 1, rez 0: ")


def test_the_bridge_must_solve_itself(studio: Studio) -> None:
    """A solve that is left to rez is no measurement of the bridge."""
    ran = studio.run("published", ["app", "-v", "-v", "-v"])
    assert ran.code and "RER_NUMBA=strict" in ran.complaint


def test_a_published_folder_is_no_package(studio: Studio, tmp_path: Path) -> None:
    """Somebody who publishes beside the packages changes nothing for rez alone."""
    before = studio.run("rez", ["app"])
    (tmp_path / "packages" / ".rer").mkdir()
    (tmp_path / "packages" / ".rer" / "1.rer").write_bytes(b"")
    assert studio.run("rez", ["app"]).resolved == before.resolved


def test_nothing_is_solved(studio: Studio) -> None:
    with pytest.raises(
        RerError, match=r"rez solves none of the requests: \S+ ERROR +PackageFamilyNotFoundError: .*nothing"
    ):
        benchmark_env.measure_env(studio, [["nothing"]], 1, Progress(False))


def test_the_settings_of_the_user_do_not_count(studio: Studio, monkeypatch: Patch) -> None:
    monkeypatch.setenv("REZ_PACKAGES_PATH", "elsewhere")
    monkeypatch.setenv("RER_NUMBA", "off")
    environment = studio.environment("unpublished")
    assert "REZ_PACKAGES_PATH" not in environment and "RER_NUMBA_REPOSITORIES" not in environment
    assert environment["RER_NUMBA"] == "strict"
    assert studio.environment("published")["RER_NUMBA_REPOSITORIES"] == studio.published


# ----------------------------------------------------------------------------------------------------------- comparing
def ran(code: int = 0, complaint: str = "", **resolved: str) -> Ran:
    return Ran(1.0, code, {f"REZ_{name}": value for name, value in resolved.items()}, complaint)


def test_differences() -> None:
    one = ran(USED_RESOLVE="a-1 b-1", B_ROOT="/b/1")
    assert difference(one, one) == []
    assert difference(ran(1, "oh"), one) == ["exit code 1, rez 0: oh"]
    assert difference(ran(1, "oh"), ran(1, "ah")) == []
    assert difference(ran(), ran()) == ["rez's command did not tell what was resolved"]
    assert difference(ran(USED_RESOLVE=""), ran(USED_RESOLVE="")) == []
    assert difference(ran(USED_RESOLVE="a-1 b-1", B_ROOT="/b/1/x"), one) == ["REZ_B_ROOT is '/b/1/x', rez '/b/1'"]
    assert difference(ran(USED_RESOLVE="b-1", B_ROOT="/c"), one) == ["REZ_USED_RESOLVE is 'b-1', rez 'a-1 b-1'"]
    assert difference(ran(USED_RESOLVE="a-1 b-1"), one) == ["REZ_B_ROOT is None, rez '/b/1'"]


def test_variables_that_differ_between_any_two_runs_do_not_count() -> None:
    lines = ["REZ_USED_RESOLVE=a-1", "REZ_A_ROOT=/x=y", "REZ_RXT_FILE=/tmp/1", "REZ_USED_VERSION=3", "HOME=/h", "", "}"]
    assert resolved_in(lines) == {"REZ_USED_RESOLVE": "a-1", "REZ_A_ROOT": "/x=y"}


def test_numbers() -> None:
    seconds = [(4.0, 1.0), (1.0, 1.25), (9.0, 3.0)]
    runs = [{"rez": {"seconds": rez}, "published": {"seconds": own}} for rez, own in seconds]
    found = summary(runs, "published")
    assert found["requests"] == 3 and found["median"] == 1.25 and found["worst"] == 3.0
    assert found["ratio"] == 3.0 and found["ratio_of_totals"] == 14 / 5.25 and found["ratio_of_medians"] == 4 / 1.25
    assert found["worst_slowdown"] == 0.25
    assert summary(runs, "unpublished") == {"requests": 0}


def test_each_moment_is_booked_once(monkeypatch: Patch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.time", lambda: 7.5)
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = Clock(7.0)
    now[0] = 1.0
    with clock.part("outer"):
        now[0] = 3.0
        with clock.part("inner"):
            now[0] = 7.0
        now[0] = 15.0
    now[0] = 31.0
    assert clock.stop() == {"starting Python": 500.0, "the rest of rez": 17000.0, "outer": 10000.0, "inner": 4000.0}


# ------------------------------------------------------------------------------------------------------------- command
@pytest.mark.parametrize(("agrees", "code"), [(True, cli.OK), (False, cli.UNSOLVED)])
def test_command(agrees: bool, code: int, tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    asked: list[int] = []

    def measured(studio: Studio, requests: list[list[str]], wanted: int, progress: Progress) -> dict[str, Any]:
        asked.append(wanted)
        assert os.path.isfile(studio.published)
        return {"agrees": agrees}

    tree = write_packages(tmp_path / "packages", PACKAGES)
    monkeypatch.setattr(benchmark_env, "measure_env", measured)
    monkeypatch.setattr(benchmark_env, "benchmark_tree", lambda cache: str(tree))
    monkeypatch.setattr(benchmark_env, "benchmark_requests", lambda: REQUESTS)
    assert cli.main(["benchmark", "--env", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == {"agrees": agrees}
    assert asked == [40]


def test_one_at_a_time(capsys: Capture) -> None:
    assert cli.main(["benchmark", "--env", "--paths"]) == cli.BAD_INPUT
    assert "--paths: not allowed with argument --env" in capsys.readouterr().err


def test_all_requests_unless_told(monkeypatch: Patch) -> None:
    """The number that `--env` takes when none is given is its own."""
    told: list[argparse.Namespace] = []

    def benchmark(arguments: argparse.Namespace) -> int:
        told.append(arguments)
        return cli.OK

    monkeypatch.setattr(benchmark_report, "benchmark", benchmark)
    assert cli.main(["benchmark"]) == cli.OK
    assert told[0].requests is None and not told[0].env
