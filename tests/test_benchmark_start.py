"""`rer-numba benchmark --start`: fresh processes on a small tree, and the numbers without any."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rer_numba import benchmark_start, cli
from rer_numba.benchmark import Answer
from rer_numba.benchmark_goals import Goal
from rer_numba.benchmark_processes import Finished, Steps
from rer_numba.benchmark_start import LABELS, PYRER, Starts, Told, beside_pyrer, goals, measure_start, told_by
from rer_numba.benchmark_steps import encode
from rer_numba.errors import RerError
from rer_numba.progress import Progress
from rer_numba.tables_text import PlainOutput
from rer_numba.user_cache import cache_folder
from tests.random_tree import wait_a_tick
from tests.rez_commands import write_packages

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

PACKAGES = {
    "app-1": "requires = ['lib-1']",
    "app-2": "requires = ['lib-2']",
    "lib-1": "requires = [name for name in ['base-1']]",
    "lib-2": "variants = [['base-1'], ['base-2']]",
    "base-1": "",
    "base-2": "",
}
REQUESTS = [["app"], ["app<2"], ["app-1", "lib-2"]]
ASKED = argparse.Namespace(requests=3, repeat=2, engines=["rer-numba", "pyrer", "rez"])


class WarmSteps(Steps):
    """Finds compiled kernels where the tests have them, so that none are compiled."""

    def command(
        self,
        what: str,
        arguments: Any,
        environment: Mapping[str, str] | None = None,
        codes: Any = (cli.OK,),
    ) -> Finished:
        """Run with another cache."""
        cache = cache_folder()
        assert cache is not None
        return super().command(what, arguments, {**(environment or {}), "RER_NUMBA_CACHE_DIR": cache}, codes)


@pytest.fixture
def tree(tmp_path: Path) -> str:
    """Dated to the past, so that every look at a file is sure."""
    pytest.importorskip("rez")
    tree = write_packages(tmp_path / "packages", PACKAGES)
    for path in sorted(tree.rglob("*"), reverse=True):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    wait_a_tick()
    return str(tree)


@pytest.fixture
def steps(tmp_path: Path) -> WarmSteps:
    (tmp_path / "kept").mkdir()
    return WarmSteps(str(tmp_path / "kept"), Progress(False))


@pytest.fixture
def starts(tree: str, steps: Steps) -> Starts:
    file = os.path.join(steps.folder, "benchmark.rer")
    encode(tree, 1, file)
    return Starts(tree, file, {}, steps)


# ----------------------------------------------------------------------------------------------------------- processes
def test_all_are_measured_and_compared(tree: str, steps: Steps, capsys: Capture) -> None:
    pytest.importorskip("pyrer")
    report = measure_start(tree, REQUESTS, ASKED, steps, Progress(False))
    assert report["differences"] == [] and report["agrees"]
    assert [run["number"] for run in report["runs"]] == [0, 1, 2]
    for run in report["runs"]:
        assert list(run["ms"]) == list(LABELS) and {len(times) for times in run["ms"].values()} == {2}
    assert [run["pyrer_left"] for run in report["runs"]] == [1, 1, 1], "its parser does not run the comprehension"
    json.dumps(report)
    benchmark_start.print_start_report(PlainOutput(sys.stdout, 120), report)
    text = capsys.readouterr().out
    assert "all equal: yes" in text and "3 requests of rez's benchmark, 2 runs each" in text


def test_without_pyrer(tree: str, steps: Steps, capsys: Capture, monkeypatch: Patch) -> None:
    """It is told if it is not installed, unless nobody asked for it."""
    asked = argparse.Namespace(**{**vars(ASKED), "requests": 1, "repeat": 1})
    monkeypatch.setattr(benchmark_start, "is_installed", lambda engine: False)
    report = measure_start(tree, REQUESTS, asked, steps, Progress(False))
    assert report["missing"] == ["pyrer"] and not set(report["kinds"]) & set(PYRER)
    assert beside_pyrer(report) is None
    benchmark_start.print_start_report(PlainOutput(sys.stdout, 120), report)
    assert "not installed" in capsys.readouterr().out
    asked.engines = ["rer-numba"]
    assert measure_start(tree, REQUESTS, asked, steps, Progress(False))["missing"] == []


@pytest.mark.parametrize("kind", ["answer", "frozen", *PYRER])
def test_what_a_process_answers(starts: Starts, kind: str) -> None:
    if kind in PYRER:
        pytest.importorskip("pyrer")
    solved = told_by(starts.run(kind, ["app<2"]).out)
    assert solved.answer.status == "solved"
    assert solved.answer.resolved == (("base", "1", None), ("lib", "1", None), ("app", "1", None))
    assert told_by(starts.run(kind, ["app-1", "lib-2"]).out).answer[:2] == ("failed", ())
    # two versions each of three families, one of them not static
    assert (solved.read, solved.left) == ((6, 1) if kind in PYRER else (0, 0))


def test_commands(starts: Starts) -> None:
    assert starts.run("help", []).out.startswith("usage: rer-numba")
    assert starts.run("import", []).out == starts.run("interpreter", []).out == ""
    done = starts.run("command", ["app<2", "!lib-2"])
    assert done.code == cli.OK and done.out.startswith("solved: 3 packages") and done.milliseconds > 0
    assert starts.run("command", ["app-1", "lib-2"]).code == cli.UNSOLVED


def test_a_process_that_fails_is_no_measurement(starts: Starts, tmp_path: Path, steps: Steps) -> None:
    lost = Starts(str(tmp_path), str(tmp_path / "lost.rer"), {}, steps)
    for kind in ("answer", "command"):
        with pytest.raises(RerError, match=r"lost\.rer"):
            lost.run(kind, ["app"])


# ------------------------------------------------------------------------------------------------------------- numbers
def test_differences() -> None:
    one = Told(Answer("solved", (("a", "1", None),), 3))
    other = Told(Answer("solved", (("a", "2", None),), 3))
    failed = Told(Answer("failed", (), 3))
    assert benchmark_start._differences(7, {"answer": one, "pyrer": one}, cli.OK) == []
    assert benchmark_start._differences(7, {"answer": failed}, cli.UNSOLVED) == []
    found = benchmark_start._differences(7, {"answer": one, "pyrer": other}, cli.OK)
    assert found == ["pyrer: request 7: resolved is (('a', '1', None),), not (('a', '2', None),)"]
    (code,) = benchmark_start._differences(7, {"answer": one}, cli.UNSOLVED)
    assert code.endswith("request 7: exit code 1, though it is solved")
    (code,) = benchmark_start._differences(7, {"answer": failed}, cli.OK)
    assert code.endswith("request 7: exit code 0, though it is failed")


def reported(answer: list[float], pyrer: list[float]) -> dict[str, Any]:
    """A report of one run for each request; pyrer is faster with one thread on every second."""
    runs = [
        {
            "number": number,
            "ms": {
                **{kind: [8.0] for kind in ("interpreter", "import", "help", "command")},
                "answer": [ours],
                "frozen": [ours / 2],
                "pyrer": [their + number % 2],
                "pyrer_1": [their + (number + 1) % 2],
            },
        }
        for number, (ours, their) in enumerate(zip(answer, pyrer, strict=True))
    ]
    return {"runs": runs, "kinds": list(LABELS), "compile_ms": 26_000.0, "missing": []}


def test_numbers() -> None:
    report = reported([40.0, 50.0, 80.0, 60.0], [20.0, 100.0, 40.0, 90.0])
    beside = beside_pyrer(report)
    assert beside is not None
    assert beside.pyrer_ms == [20.0, 40.0, 90.0, 100.0], "the faster way, sorted"
    assert beside.ratios == [0.5, 0.5, 1.5, 2.0]
    assert beside.middle == 2 and beside.ahead_from == 2
    found = {goal.what: goal for goal in goals(report)}
    assert found["first answer, worst request (ms)"] == Goal("first answer, worst request (ms)", 100, 80.0)
    assert [goal.met for goal in found.values()] == [True] * (len(found) - 2) + [False, True]
    after = [goal.found for goal in goals(report) if goal.most == 70]
    assert after == [72.0, 32.0]
    assert benchmark_start.summaries(report)["answer"] == {
        "median": 55.0,
        "p90": pytest.approx(74.0),
        "worst": 80.0,
        "slowest_run": 80.0,
    }


def test_from_where_on_we_are_ahead() -> None:
    def ahead_from(*ratios: float) -> int:
        return benchmark_start.Beside(list(ratios), [1.0] * len(ratios)).ahead_from

    assert ahead_from(1.0, 2.0) == 0
    assert ahead_from(2.0, 0.9, 1.1) == 2
    assert ahead_from(2.0, 0.9) == 2, "on no request that counts"
    assert "not on the last" in benchmark_start._ahead_from(benchmark_start.Beside([2.0, 0.9], [1.0, 2.0]))


# ------------------------------------------------------------------------------------------------------------- command
@pytest.mark.parametrize(("agrees", "code"), [(True, cli.OK), (False, cli.UNSOLVED)])
def test_command(agrees: bool, code: int, monkeypatch: Patch, capsys: Capture) -> None:
    asked: list[argparse.Namespace] = []

    def measured(tree: str, requests: Any, arguments: argparse.Namespace, *_: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {**reported([1.0], [2.0]), "agrees": agrees}

    monkeypatch.setattr(benchmark_start, "measure_start", measured)
    monkeypatch.setattr(benchmark_start, "benchmark_tree", lambda cache: "tree")
    monkeypatch.setattr(benchmark_start, "benchmark_requests", lambda: REQUESTS)
    assert cli.main(["benchmark", "--start", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"] is agrees and told["summary"]["answer"]["worst"] == 1.0
    assert {goal["met"] for goal in told["goals"]} == {True, False}
    assert asked[0].requests is None and asked[0].repeat == 5


def test_nothing_is_drawn(capsys: Capture) -> None:
    assert cli.main(["benchmark", "--start", "--figure", "start.svg"]) == cli.BAD_INPUT
    assert cli.main(["benchmark", "--start", "--paths"]) == cli.BAD_INPUT
    assert "--paths: not allowed with argument --start" in capsys.readouterr().err
