"""`rer-numba benchmark --growth`, on departments built like the studio, and the figures."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rer_numba import benchmark_figures, benchmark_growth, benchmark_growth_steps, benchmark_report, cli, studio
from rer_numba.benchmark import Measurement
from rer_numba.benchmark_data import DataPackage
from rer_numba.benchmark_departments import Departments
from rer_numba.benchmark_growth import goals, measure_growth, print_growth_report
from rer_numba.benchmark_growth_steps import as_package
from rer_numba.checks import check
from rer_numba.encode import encode, facts_of
from rer_numba.errors import RerError
from rer_numba.link import link
from rer_numba.repository import Repository
from rer_numba.tables_text import PlainOutput
from tests.tables_factory import same

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def studio_data() -> list[DataPackage]:
    return [
        DataPackage(p.name, p.version, p.requires, p.variants, p.build_requires, p.timestamp)
        for p in studio.studio_packages()
    ]


def package(name: str, version: str = "", requires: Sequence[str] = (), **more: Any) -> DataPackage:
    return DataPackage(name, version, list(requires), more.get("variants", []), more.get("build_requires", []), None)


# --------------------------------------------------------------------------------------------------------- departments
SMALL = [
    package("app", "2.1.0", ["lib-2+<3", "!gui-1.0|1.2", "~.feat-1", "os"], variants=[["py-3"], ["py==2.7.1"]]),
    package("gui", "1.2", ["os-7", "lib==2.5"], build_requires=["py"]),
    package("lib", "2.5", ["os"]),
    package("lib", "beta", ["os"]),
    package("py", "02.7", ["os"]),
    package("tool", "2_", ["os"]),
    package("os", "7"),
]
"""With an `os` that nearly all require, and a `py` and a `lib` that some do."""


def test_the_first_department_is_what_it_is_built_like() -> None:
    departments = Departments(SMALL)
    assert list(departments.packages(0)) == SMALL
    assert departments.shared == {"os", "py", "lib"}
    assert departments.request(["app-2"], 0) == ["app-2"]
    assert departments.resolved([("app", "2.1.0", 1)], 0) == (("app", "2.1.0", 1),)


def test_another_department_has_names_and_versions_of_its_own(monkeypatch: Patch) -> None:
    monkeypatch.setattr("rer_numba.benchmark_departments.SHARED_BY", 2)
    departments = Departments(SMALL)
    assert departments.shared == {"os"}
    made = {one.name: one for one in departments.packages(7) if one.version != "beta"}
    assert set(made) == {"app_07", "gui_07", "lib_07", "py_07", "tool_07"}
    old = {"app": 2, "gui": 1, "lib": 2, "py": 2}
    app, gui, lib, py = (int(made[f"{name}_07"].version.partition(".")[0]) - first for name, first in old.items())
    assert min(app, gui, lib, py) >= 1 and len({app, gui, lib, py}) == 4
    assert made["app_07"].version == f"{2 + app}.1.0" and made["py_07"].version == f"{2 + py:02}.7"
    assert made["app_07"].requires[0] == f"lib_07-{2 + lib}+<{3 + lib}"
    assert made["app_07"].requires[1] == f"!gui_07-{1 + gui}.0|{1 + gui}.2"
    assert made["app_07"].requires[2].startswith("~.feat_07-") and made["app_07"].requires[3] == "os"
    assert made["app_07"].variants == [[f"py_07-{3 + py}"], [f"py_07=={2 + py}.7.1"]]
    assert made["gui_07"].requires == ["os-7", f"lib_07=={2 + lib}.5"] and made["gui_07"].build_requires == ["py_07"]
    assert made["tool_07"].version.endswith("_")  # how rez writes the end of a range
    assert [one.version for one in departments.packages(7) if one.name == "lib_07"] == [f"{2 + lib}.5", "beta"]
    assert departments.request(["app-2.1", "!os-8"], 7) == [f"app_07-{2 + app}.1", "!os-8"]
    assert departments.resolved([("app", "2.1.0", 1), ("os", "7", None)], 7) == (
        ("app_07", f"{2 + app}.1.0", 1),
        ("os", "7", None),
    )


def test_departments_differ_and_stay_the_same() -> None:
    """The digest is of Python 3.11; it must be that of every version."""
    departments = Departments(studio_data())
    text = repr([list(departments.packages(number)) for number in (1, 2, 99)])
    assert text == repr([list(Departments(studio_data()).packages(number)) for number in (1, 2, 99)])
    assert text != repr([list(Departments(studio_data(), seed=1).packages(number)) for number in (1, 2, 99)])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "42971cee3eeb0d15"
    versions = [{one.version for one in departments.packages(number)} for number in (1, 2)]
    assert versions[0] != versions[1]


@pytest.fixture(scope="module")
def three() -> Repository:
    departments = Departments(studio_data())
    return Repository(link([facts_of([as_package(p) for p in departments.packages(number)]) for number in range(3)]))


def test_pieces_are_as_good_as_the_whole(three: Repository) -> None:
    departments = Departments(studio_data())
    whole = encode(as_package(p) for number in range(3) for p in departments.packages(number))
    assert same(three.tables, whole) and check(whole) is None
    shared = len(departments.shared)
    names = len({p.name for p in studio_data()})
    assert benchmark_growth_steps.size_of(whole)["families"] == names + 2 * (names - shared)


def test_other_departments_change_no_answer(three: Repository) -> None:
    one = studio.studio_repository()
    for request in studio.studio_requests().values():
        found, expected = (r.solve(request.requests, **request.options) for r in (three, one))
        for field in ("status", "resolved", "resolved_ephemerals", "failure_description", "num_solves", "num_fails"):
            if field != "failure_description" or expected.status != "error":  # which says where it searched
                assert getattr(found, field) == getattr(expected, field), (request.name, field)


def test_a_department_lives_by_itself(three: Repository, monkeypatch: Patch) -> None:
    monkeypatch.setattr(benchmark_growth_steps, "iter_benchmark_packages", lambda: iter(studio_data()))
    requests = [request.requests for request in studio.studio_requests().values()]
    solved = [n for n, request in enumerate(requests) if three.solve(request).status == "solved"]
    assert len(solved) > 10
    assert benchmark_growth_steps.department_differences(three, requests, solved, 2) == []
    (wrong,) = benchmark_growth_steps.department_differences(three, requests, solved[:1], 3)
    assert wrong == f"request {solved[0]}: error for department 3, solved for the first"


# ----------------------------------------------------------------------------------------------------------- measuring
class HereSteps:
    """Does the steps in this process."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def run(self, what: str, step: str, environment: Any = None, **arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            return json.loads(json.dumps(benchmark_growth_steps.STEPS[step](**arguments)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The studio once, and twice."""
    requests = [request.requests for request in studio.studio_requests().values()][:4]
    with pytest.MonkeyPatch.context() as patch:
        for module in (benchmark_growth, benchmark_growth_steps):
            patch.setattr(module, "benchmark_requests", lambda: requests)
        patch.setattr(benchmark_growth_steps, "iter_benchmark_packages", lambda: iter(studio_data()))
        patch.setattr(benchmark_growth, "_MEDIAN_REQUEST", 0)
        arguments = argparse.Namespace(requests=None, repeat=2)
        return measure_growth([1, 2], arguments, HereSteps(str(tmp_path_factory.mktemp("growth"))))  # type: ignore[arg-type]


def test_report(report: dict[str, Any]) -> None:
    assert report["agrees"] and json.loads(json.dumps(report)) == report
    one, two = report["sizes"]
    assert (one["scale"], two["scale"]) == (1, 2) and one["packages"] == 201
    assert two["packages"] > 1.8 * one["packages"] and two["versions"] > one["versions"]
    for size in report["sizes"]:
        assert size["solve"]["numbers"] == [0, 1, 2, 3] and len(size["solve"]["first_ms"]) == 4
        assert len(size["open_first_ms"]) == len(size["fresh_solve_ms"]) == 2 and len(size["open_again_ms"]) == 40
    assert {goal.what.partition(",")[0] for goal in goals(report)} == {
        "opening a known file", "solving", "encoding", "bytes of file for a requirement",
    }  # fmt: skip


def test_goals() -> None:
    def size(scale: int, times: float) -> dict[str, Any]:
        return {
            "requirements": 1000 * scale,
            "file_bytes": 90_000 * scale,
            "open_again_ms": [times],
            **dict.fromkeys(("read_seconds", "link_seconds", "save_seconds", "cpu_seconds"), times),
            "solve": {"numbers": [0], "solver_ms": [times], "whole_ms": [times]},
        }

    found = goals({"sizes": [size(1, 1.0), size(10, 1.15)]})
    assert [round(goal.found, 2) for goal in found] == [1.15, 1.15, 1.15, 1.15, 90.0]
    assert [goal.most for goal in found] == [1.2, 1.2, 1.2, 10.0, 100] and all(goal.met for goal in found)
    slow = goals({"sizes": [size(1, 1.0), size(2, 2.1)]})
    assert [goal.met for goal in slow] == [False, False, False, False, True]


def test_what_is_printed(report: dict[str, Any]) -> None:
    out = io.StringIO()
    print_growth_report(PlainOutput(out, 100), report)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    for part in ("1 times", "2 times", "peak memory", "bytes of file for a requirement", "first solve of a fresh"):
        assert part in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(("the same from", "the last"))] == [
        "yes",
        "yes",
    ]


def test_a_difference_is_told_and_fails(report: dict[str, Any], monkeypatch: Patch, capsys: Capture) -> None:
    wrong = {**report, "agrees": False, "answer_differences": ["request 3: status is 'solved', not 'failed'"]}
    monkeypatch.setattr(benchmark_growth, "measure_growth", lambda scales, arguments, steps: wrong)
    assert cli.main(["benchmark", "--growth", "--scales", "2,1"]) == cli.UNSOLVED
    assert "the same from studios of all sizes: request 3" in capsys.readouterr().out
    assert cli.main(["benchmark", "--growth", "--json"]) == cli.UNSOLVED
    assert json.loads(capsys.readouterr().out)["goals"][0]["most"] == 1.2


def test_scales_are_numbers(capsys: Capture) -> None:
    assert cli.main(["benchmark", "--growth", "--scales", "1,many"]) == cli.BAD_INPUT
    assert "is no number from 1 on" in capsys.readouterr().err


def test_growth_in_processes_of_its_own(capsys: Capture) -> None:
    pytest.importorskip("rez")
    assert cli.main(["benchmark", "--growth", "--scales", "1", "--requests", "2", "--repeat", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sizes"][0]["packages"] == 18_226 and found["agrees"]


# -------------------------------------------------------------------------------------------------------------- figures
def test_a_figure_must_be_drawable(tmp_path: Path, monkeypatch: Patch) -> None:
    with pytest.raises(RerError, match=r"ends in \.svg or \.png, not 'times.pdf'"):
        benchmark_figures.require_drawable("times.pdf")
    with pytest.raises(RerError, match="there is no folder"):
        benchmark_figures.require_drawable(str(tmp_path / "nowhere" / "times.svg"))
    monkeypatch.setattr(benchmark_figures, "find_spec", lambda name: None)
    with pytest.raises(RerError, match=r"pip install 'rer-numba\[figures\]'"):
        benchmark_figures.require_drawable(str(tmp_path / "times.svg"))


@pytest.mark.parametrize("instead", ["--paths", "--env"])
def test_there_is_no_figure_of_other_things(instead: str, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["benchmark", instead, "--figure", str(tmp_path / "a.svg")]) == cli.BAD_INPUT
    assert "--figure draws solves" in capsys.readouterr().err


def test_of_an_engine_that_was_called_in_two_ways_the_faster_is_drawn() -> None:
    found = []
    for label, times in (("rer-numba 1", [1.0]), ("pyrer 1, list", [9.0]), ("pyrer 1, load_family", [7.0])):
        measured = Measurement(label)
        measured.numbers, measured.whole_ms = [0], times
        found.append(measured)
    assert [one.label for one in benchmark_figures._fastest(found)] == ["rer-numba 1", "pyrer 1, load_family"]
    assert [benchmark_figures._duration(ms) for ms in (0.1, 1.0, 20.0, 3000.0)] == ["100 µs", "1 ms", "20 ms", "3 s"]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_figures_are_drawn(ending: str, report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"growth.{ending}"
    benchmark_figures.draw_growth(report, str(path))
    first = path.read_bytes()
    assert first.startswith(b"<?xml" if ending == "svg" else b"\x89PNG") and len(first) < 200_000
    benchmark_figures.draw_growth(report, str(path))
    assert path.read_bytes() == first


def test_the_command_draws_its_requests(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    requests = [request.requests for request in studio.studio_requests().values()]
    monkeypatch.setattr(benchmark_report, "benchmark_requests", lambda: requests)
    monkeypatch.setattr(benchmark_report, "iter_benchmark_packages", lambda: iter(studio_data()))
    monkeypatch.setattr(benchmark_report, "check_golden", lambda *_: None)
    path = tmp_path / "times.svg"
    assert cli.main(["benchmark", "--engines", "rer-numba", "--requests", "5", "--figure", str(path)]) == 0
    assert b"<svg" in path.read_bytes()[:1000]
