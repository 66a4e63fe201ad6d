"""The benchmark command: what it measures, compares and tells."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rer_numba import benchmark, benchmark_report, cli, studio
from rer_numba.benchmark import Answer, Measurement, Run, every, measure, one_core, spread
from rer_numba.benchmark_data import DataPackage
from rer_numba.benchmark_report import Ratio, percentile, ratio
from rer_numba.progress import Progress
from rer_numba.repository import Repository

Capture = pytest.CaptureFixture[str]


# -------------------------------------------------------------------------------------------------------------- numbers
def test_requests_are_evenly_spread() -> None:
    assert spread(188, 188) == spread(188, 1000) == list(range(188))
    assert spread(188, 3) == [0, 62, 125]
    assert every(range(188), 10) == list(range(0, 188, 18))
    assert every([5, 6, 7], 10) == [5, 6, 7]


def test_percentiles_and_ratios() -> None:
    assert [percentile([3.0, 1.0, 2.0], p) for p in (0, 50, 75, 100)] == [1.0, 2.0, 2.5, 3.0]
    assert percentile([4.0], 90) == 4.0
    assert ratio([10.0, 40.0], [1.0, 1.0]) == Ratio(25.0, 13.0, 37.0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_one_core_and_back() -> None:
    before = os.sched_getaffinity(0)
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_one_core_where_there_is_no_such_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with one_core() as core:
        assert core is None


# ------------------------------------------------------------------------------------------------------------ measuring
class Rival:
    """Answers as we do, except where it is told not to."""

    def __init__(self, repository: Repository, wrong: dict[int, Answer], requests: Sequence[list[str]]) -> None:
        self.label = "rival 1.0"
        self._engine = benchmark.RerEngine(repository, 1)
        self._wrong = {id(requests[number]): answer for number, answer in wrong.items()}
        self.asked: list[list[str]] = []
        self.collects = False

    def warm_up(self, requests: Sequence[list[str]]) -> None:
        self._engine.warm_up(requests)

    def run(self, request: list[str]) -> Run:
        self.asked.append(request)
        self.collects |= gc.isenabled()
        run = self._engine.run(request)
        return Run(self._wrong.get(id(request), run.answer), 3 * run.solver_ms, 3 * run.whole_ms)


@pytest.fixture(scope="module")
def repository() -> Repository:
    return studio.studio_repository()


@pytest.fixture(scope="module")
def requests() -> list[list[str]]:
    return [request.requests for request in studio.studio_requests().values()]


def test_engines_take_turns(repository: Repository, requests: list[list[str]]) -> None:
    ours = benchmark.RerEngine(repository, 3)
    rival, sampled = (Rival(repository, {}, requests) for _ in range(2))
    own, theirs = measure(requests, ours, [(rival, range(6)), (sampled, [0, 4])], range(6), Progress(enabled=False))
    assert own.numbers == theirs[0].numbers == list(range(6)) and theirs[1].numbers == [0, 4]
    assert rival.asked == requests[:6] and sampled.asked == [requests[0], requests[4]]
    assert not any(found.differences for found in theirs)
    assert not rival.collects and gc.isenabled()
    assert len(ours.first_ms) == len(own.whole_ms) == 6
    assert all(0 < solver < whole for solver, whole in zip(own.solver_ms, own.whole_ms, strict=True))


def test_differences_are_found(repository: Repository, requests: list[list[str]]) -> None:
    other = Answer("solved", (("maya", "2024.2", 0),), 16)
    rival = Rival(repository, {1: other, 2: Answer("failed", (), 1)}, requests)
    _, (found,) = measure(
        requests, benchmark.RerEngine(repository, 1), [(rival, range(3))], range(3), Progress(enabled=False)
    )
    assert any(text.startswith("request 1: resolved is ((") and "not (('maya', '2024.2', 0),)" in text
               for text in found.differences)  # fmt: skip
    assert "request 2: status is 'solved', not 'failed'" in found.differences
    assert max(map(len, found.differences)) < 300
    assert not any(text.startswith("request 0") for text in found.differences)


def studio_data() -> list[DataPackage]:
    return [
        DataPackage(p.name, p.version, p.requires, p.variants, p.build_requires, p.timestamp)
        for p in studio.studio_packages()
    ]


@pytest.mark.parametrize("engine", ["pyrer list", "pyrer lazy", "rez"])
def test_rivals_answer_like_us(engine: str, repository: Repository, requests: list[list[str]]) -> None:
    """On solvable requests of the studio; pyrer has other counts where a weak requirement meets a failure."""
    pytest.importorskip(engine.partition(" ")[0])
    solvable = [list(requests[n]) for n in (0, 4, 8)]
    rival: Any
    if engine == "rez":
        rival = benchmark.RezEngine(studio_data())
    else:
        rival = benchmark.PyrerEngine(studio_data(), lazy=engine.endswith("lazy"))
    ours = benchmark.RerEngine(repository, 1)
    _, (found,) = measure(solvable, ours, [(rival, range(3))], range(3), Progress(enabled=False))
    assert found.differences == []
    assert engine.partition(" ")[0] in found.label
    assert all(0 < solver <= whole + 1 for solver, whole in zip(found.solver_ms, found.whole_ms, strict=True))


def test_rez_loads_everything_for_many_requests(requests: list[list[str]]) -> None:
    pytest.importorskip("rez")
    rez = benchmark.RezEngine(studio_data())
    rez.warm_up(requests)
    assert rez.run(requests[0]).answer.status == "solved"
    rez.close()


# -------------------------------------------------------------------------------------------------------------- command
@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, requests: list[list[str]]) -> pytest.MonkeyPatch:
    """The command, on the studio instead of rez's data; nothing is recorded for that."""
    monkeypatch.setattr(benchmark_report, "benchmark_requests", lambda: requests)
    monkeypatch.setattr(benchmark_report, "iter_benchmark_packages", lambda: iter(studio_data()))
    monkeypatch.setattr(benchmark_report, "check_golden", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


def test_report_of_ourselves(small: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    saved = tmp_path / "kept.rer"
    assert cli.main(["benchmark", "--engines", "rer-numba", "--save-repository", str(saved)]) == 0
    out = capsys.readouterr().out
    assert "28 of its 28 requests" in out and "There was nobody to compare with." in out
    assert len(Repository.open(saved).tables.package_version_rank) == 201
    assert max(map(len, out.splitlines())) <= 100


def test_report_says_what_is_not_installed(small: pytest.MonkeyPatch, capsys: Capture) -> None:
    small.setattr(benchmark_report, "is_installed", lambda name: False)
    small.setenv("COLUMNS", "200")
    assert cli.main(["benchmark", "--requests", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for engine in ("pyrer", "rez"):
        assert [line.split() for line in lines if line.startswith(f"{engine} ")] == 2 * [
            [engine, "not", "installed:", "pip", "install", "'rer-numba[bench]'"]
        ]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_difference_is_told_and_fails(
    recorded: bool, small: pytest.MonkeyPatch, capsys: Capture, repository: Repository, requests: list[list[str]]
) -> None:
    texts = [f"request {n}: num_solves is 1, not 2" for n in range(9)]
    if recorded:
        small.setattr(benchmark_report, "check_golden", lambda *_: texts)
    else:
        small.setattr(benchmark_report, "is_installed", lambda name: name == "pyrer")
        wrong = dict.fromkeys(range(28), Answer("solved", (), 1))
        small.setattr(benchmark_report, "PyrerEngine", lambda packages, lazy: Rival(repository, wrong, requests))
    assert cli.main(["benchmark", "--engines", "pyrer" if not recorded else "", "--requests", "9"]) == cli.UNSOLVED
    lines = capsys.readouterr().out.splitlines()
    who = "recorded answers of rez" if recorded else "rival 1.0"
    assert any(line.split() == [*who.split(), "9", "NO"] for line in lines)
    assert any(line.startswith(f"{who}: request 0: ") for line in lines)
    assert any(line.startswith(f"{who}: and ") and line.endswith("more; --json shows them") for line in lines)


def test_times_are_readable() -> None:
    assert [benchmark_report._digits(value) for value in (0.1234, 12.34, 123.4, 137_800.4)] == [
        "0.12",
        "12.3",
        "123",
        "137,800",
    ]
    measured = Measurement("x")
    for number, milliseconds in enumerate((1.0, 2.0, 9.0)):
        measured.add(number, Run(Answer("solved", (), 1), milliseconds, 2 * milliseconds))
    found = benchmark_report.summary(measured, measured, "whole_ms")
    assert (found["total"], found["median"], found["worst"], found["ratio"]) == (24.0, 4.0, 18.0, Ratio(1.0, 1.0, 1.0))


def test_without_rez_there_is_no_data(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from rer_numba import benchmark_data

    monkeypatch.setattr(benchmark_data.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["benchmark"]) == cli.BAD_INPUT
    assert "rez is not installed; its benchmark data comes with it: pip install" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ real data
@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Three requests of rez's benchmark, by everything that is installed."""
    pytest.importorskip("rez")
    with pytest.MonkeyPatch.context() as patch:
        # the largest of three evenly spread ones would keep rez busy for ten seconds
        patch.setattr(benchmark_report, "spread", lambda count, wanted: [2, 20, 37])
        found: list[dict[str, Any]] = []
        patch.setattr(benchmark_report, "print_json", found.append)
        code = cli.main(["benchmark", "--requests", "3", "--repeat", "2", "--json"])
    assert code == 0
    return found[0]


def test_real_answers_agree(report: dict[str, Any]) -> None:
    assert report["agrees"] and report["golden_differences"] == []
    assert [engine["numbers"] for engine in report["engines"]] == [[2, 20, 37]] * len(report["engines"])
    labels = [engine["label"].split()[0] for engine in report["engines"]]
    assert labels[0] == "rer-numba" and labels[-1] == "rez"
    assert labels.count("pyrer") == (0 if "pyrer" in report["missing"] else 2)


def test_real_report_is_complete(report: dict[str, Any]) -> None:
    assert (report["families"], report["packages"], report["variants"]) == (1_266, 18_226, 25_200)
    assert json.loads(json.dumps(report)) == report
    assert report["encode_seconds"] > 0 and report["open_ms"] > 0 and report["file_bytes"] > 1_000_000
    assert report["repeat"] == 2 and len(report["first_ms"]) == 3
    for engine in report["engines"]:
        for which in ("solver_ms", "whole_ms"):
            assert engine[f"{which}_summary"]["requests"] == len(engine[which]) == 3


def test_a_wrong_answer_is_not_the_recorded_one(requests: list[list[str]], repository: Repository) -> None:
    """The studio's packages answer none of the recorded requests."""
    pytest.importorskip("rez")
    from rer_numba.benchmark_data import benchmark_requests

    found = benchmark_report.check_golden(repository, benchmark_requests(), [0])
    assert found is not None
    assert "request 0: status is 'error', not 'solved'" in found
