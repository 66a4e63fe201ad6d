"""The tools that other tests stand on: oracle, random cases, shrinking, data sets."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import rez
from rez.config import config
from rez.package_repository import package_repository_manager

from data_set import golden, prepare
from data_set.record_golden import golden_answer, header
from tests.case import CASES_DIR, Case, Package, case_from_literal, format_case, load_case_files, shrink
from tests.oracle import Answer, RezOracle, ask_rez, failure_kind_of
from tests.random_cases import histogram, random_case

STUDIO = Path(prepare.__file__).parent / "studio"

APP = Package("app", "1", ["lib"])
LIB = [Package("lib", "1.0"), Package("lib", "2.0")]


def ask(case: Case) -> Answer:
    return ask_rez(case.packages, case.requests, **case.options)


# ---- answers


def test_solved() -> None:
    packages = [Package("app", "1", [".feat-1"], [["lib-1"], ["lib-2"]]), *LIB, Package("free")]
    answer = ask_rez(packages, ["app", "free", ".other"])
    assert answer == Answer(
        "solved",
        resolved=(("lib", "2.0", None), ("app", "1", 1), ("free", "", None)),
        resolved_ephemerals=(".feat-1", ".other"),
        num_solves=2,
    )


@pytest.mark.parametrize(
    ("packages", "requests", "kind", "text"),
    [
        ([*LIB], ["lib-1", "lib-2"], "DependencyConflicts", "(lib-1 <--!--> lib-2)"),
        ([APP, *LIB], ["app", "!lib"], "DependencyConflicts", "(lib <--!--> !lib)"),
        (
            [Package("app", "1", [], [["lib-1"], ["lib-1.0"]]), *LIB],
            ["app", "!lib-1"],
            "DependencyConflicts",
            "(lib-1 <--!--> !lib-1)",
        ),
        (
            [Package("app", "1", [], [["lib-1"], ["!lib-2"]]), *LIB],
            ["app", "lib-2"],
            "TotalReduction",
            "(app-1[1] (dep(!lib-2) <--!--> lib==2.0)) (app-1[0] (dep(lib-1) <--!--> lib==2.0))",
        ),
        ([Package("app", "1", ["app"])], ["app"], "Cycle", "app-1 --> app-1"),
    ],
)
def test_failed(packages: list[Package], requests: list[str], kind: str, text: str) -> None:
    answer = ask_rez(packages, requests)
    assert (answer.status, answer.failure_kind, answer.num_fails) == ("failed", kind, 1)
    assert answer.failure_description is not None
    assert answer.failure_description.endswith(": " + text)
    assert failure_kind_of(answer.failure_description) == kind
    assert answer.tier_b()[-1] == answer.failure_description
    assert answer.tier_a()[-1] == (answer.failure_description if kind == "DependencyConflicts" else None)


@pytest.mark.parametrize(
    ("packages", "requests", "error_type", "text"),
    [
        ([], ["lib"], "PackageFamilyNotFoundError", "package family not found: lib (searched: <paths>)"),
        ([APP], ["app"], "PackageFamilyNotFoundError",
         "package family not found: lib, was required by: app (searched: <paths>)"),
        ([APP, *LIB], ["lib-3"], "PackageNotFoundError", "Package could not be found: lib-3"),
        ([Package("app", "1", ["lib-1", "lib-2"])], ["app"], "ResolveError",
         "The package app-1[] has an internal requirements conflict: lib-1 <--!--> lib-2"),
        ([], ["lib-3+<2"], "VersionError", "Invalid version range '3+<2': Invalid bound"),
        ([], ["no name"], "PackageRequestError", "Not a valid package name: 'no name'"),
    ],
)  # fmt: skip
def test_error(packages: list[Package], requests: list[str], error_type: str, text: str) -> None:
    answer = ask_rez(packages, requests)
    assert (answer.status, answer.error_type, answer.failure_description) == ("error", error_type, text)
    assert (answer.internal, answer.num_solves, answer.num_fails) == (False, 0, 0)


def test_counters_of_an_error() -> None:
    """Steps before the exception count: the first exhausts, in the second app 2 fails, in the third app 1 raises."""
    packages = [Package("app", "2", ["mid"]), Package("mid", "1", ["lib-1"]), Package("app", "1", ["nowhere"]), *LIB]
    answer = ask_rez(packages, ["lib-2", "app"])
    assert (answer.error_type, answer.num_solves, answer.num_fails) == ("PackageFamilyNotFoundError", 2, 1)


def test_options() -> None:
    packages = [
        Package("app", "1", [], [["lib-1", "tool"], ["tool-1", "nowhere"], ["lib-2"]], ["kit"]),
        Package("tool", "1"),
        Package("kit", "1"),
        *LIB,
    ]
    requests = ["app", "lib", "tool"]
    index = {name: i for name, _, i in ask_rez(packages, requests).resolved}["app"]
    assert index == 2
    by_count = ask_rez(packages, requests, variant_select_mode="intersection_priority")
    assert ("app", "1", 0) in by_count.resolved
    assert ("kit", "1", None) in ask_rez(packages, requests, building=True).resolved
    assert ask_rez([APP], ["app"], error_on_missing_variant_requires=False).failure_description == (
        "Solver failed with unknown reason."
    )


def test_rez_config_is_locked_and_restored(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REZ_VARIANT_SELECT_MODE", "nonsense")
    before = config.__dict__
    assert ask_rez([APP, *LIB], ["app"]).status == "solved"
    assert ask_rez([APP], ["app"], error_on_missing_variant_requires=False).status == "failed"
    assert config.__dict__ is before
    assert capsys.readouterr() == ("", "")


def test_package_order_is_kept() -> None:
    """The first of two equal versions counts, and a total reduction names packages as they were handed in."""
    twins = [Package("lib", "1-0"), Package("lib", "1.0")]
    assert ask_rez(twins, ["lib"]).resolved == (("lib", "1-0", None),)
    assert ask_rez(twins[::-1], ["lib"]).resolved == (("lib", "1.0", None),)
    apps = [Package("app", version, [], [["lib-1"], ["!lib-2"]]) for version in "213"]
    text = ask_rez([*apps, *LIB], ["app", "lib-2"]).failure_description
    assert text is not None
    assert [text.index(f"app-{version}[0]") for version in "213"] == sorted(text.index(f"app-{v}[0]") for v in "213")


def test_nothing_stays_in_rez() -> None:
    known = set(package_repository_manager.repositories)
    oracle = RezOracle(LIB)
    assert oracle.solve(["lib"]).status == "solved"
    oracle.close()
    with pytest.raises(RuntimeError):
        oracle.solve(["lib"])
    RezOracle(LIB).solve(["lib"])
    gc.collect()
    assert set(package_repository_manager.repositories) == known


def test_tree_on_disk(tmp_path: Path) -> None:
    for package in (APP, *LIB):
        folder = tmp_path / package.name / package.version
        folder.mkdir(parents=True)
        lines = [f"name = {package.name!r}", f"version = {package.version!r}", f"requires = {package.requires!r}"]
        (folder / "package.py").write_text("\n".join(lines))
    oracle = RezOracle.at_paths([str(tmp_path)])
    assert oracle.solve(["app"]) == ask_rez([APP, *LIB], ["app"])
    assert oracle.solve(["none"]) == ask_rez([APP], ["none"])


def test_answer_of_a_result() -> None:
    text = "package family not found: lib, was required by: app (searched: /sw/a; /sw/b)"
    result = SimpleNamespace(
        status="error", resolved=[], resolved_ephemerals=[], failure_description=text,
        error_type="PackageFamilyNotFoundError", num_solves=0, num_fails=0,
    )  # fmt: skip
    assert Answer.of(result).tier_b() == ask_rez([APP], ["app"]).tier_b()
    result = SimpleNamespace(
        status="solved", resolved=[("lib", "2.0", None)], resolved_ephemerals=[], failure_description=None,
        error_type=None, num_solves=1, num_fails=0,
    )  # fmt: skip
    assert Answer.of(result) == ask_rez(LIB, ["lib-2"])


# ---- cases


def test_random_cases_repeat() -> None:
    """The same seed gives the same case, also in a process with another hash seed."""
    program = "from tests.random_cases import random_case; print([repr(random_case(s)) for s in range(60)])"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == str([repr(random_case(seed)) for seed in range(60)])


def test_random_cases_are_well_mixed() -> None:
    answers = [ask(random_case(seed)) for seed in range(300)]
    share = {status: sum(a.status == status for a in answers) / 3 for status in ("solved", "failed", "error")}
    assert 50 < share["solved"] < 70
    assert 20 < share["failed"] < 45
    assert 3 < share["error"] < 14
    kinds = {answer.failure_kind for answer in answers if answer.status == "failed"}
    assert kinds == {"DependencyConflicts", "TotalReduction", "Cycle", None}
    assert sum(answer.num_solves > 5 for answer in answers) > 50
    assert sum(answer.num_fails > 2 for answer in answers) > 15


def test_histogram_prints() -> None:
    assert "20 cases" in histogram(range(20))


@pytest.mark.parametrize("seed", range(40))
def test_case_text_round_trip(seed: int) -> None:
    case = random_case(seed)
    assert case_from_literal(format_case(case)) == case


def test_shrink_finds_the_core() -> None:
    noise = [Package("noise", str(v), ["lib"], [["lib-1"], ["lib-2"]], timestamp=v) for v in range(4)]
    core = [Package("app", "1", ["lib", "noise"], [["noise"], ["tool-1"]]), Package("tool", "1", ["app"])]
    case = Case([*noise, *LIB, *core], ["noise", "app", "!noise-1", "tool"], {"building": True})
    small = shrink(case, lambda candidate: ask(candidate).failure_kind == "Cycle")
    assert small == Case([Package("app", "1", [], [["tool-1"]]), Package("tool", "1", ["app"])], [small.requests[0]])


def test_shrink_keeps_what_it_cannot_reduce_and_obeys_its_bound() -> None:
    case = random_case(3)
    assert shrink(case, lambda _: False) is case
    calls: list[Case] = []
    shrink(case, lambda candidate: calls.append(candidate) is None, max_tests=3)
    assert len(calls) == 3


@pytest.mark.parametrize("case", load_case_files(), ids=lambda case: case.origin)
def test_case_files(case: Case) -> None:
    """A name that starts with rez_dies says that rez's own answer is no answer."""
    assert ask(case).internal == case.origin.startswith("rez_dies")


def test_case_files_of_rez_quirks() -> None:
    cases = {path.stem: case_from_literal(path.read_text()) for path in CASES_DIR.glob("union_*.py")}
    assert ask(cases["union_swallows_a_gap"]).resolved == (("lib", "5", None),)
    text = ask(cases["union_keeps_touching_ranges"]).failure_description
    assert text == "The following package conflicts occurred: (lib-1..5|>5 <--!--> lib<1)"


# ---- data sets


@pytest.fixture(scope="module")
def benchmark() -> list[prepare.DataPackage]:
    return prepare.benchmark_packages()


def test_benchmark_is_complete(benchmark: list[prepare.DataPackage], tmp_path: Path) -> None:
    assert len(benchmark) == 18_226
    assert len({package.name for package in benchmark}) == 1_266
    assert sum(max(1, len(package.variants)) for package in benchmark) == 25_200
    assert len(prepare.benchmark_requests()) == 188
    for name in ("packages.json", "packages.json.gz"):
        prepare.write_packages(tmp_path / name, benchmark[:200])
        assert prepare.read_packages(tmp_path / name) == benchmark[:200]


@pytest.mark.parametrize(
    "source",
    [
        "name = 'a'\nversion = str(1)",
        "name = 'a'\nversion = '1'\nunknown = 2",
        "name = 'a'\nversion = '2'",
        "import os",
    ],
)
def test_package_file_that_is_not_plain(source: str) -> None:
    with pytest.raises((prepare.DataSetError, ValueError)):
        prepare._parse_package("./packages/a/1/package.py", source)


def test_without_rez(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(prepare.DataSetError, match="rez is not installed"):
        prepare.benchmark_requests()


def test_golden_file_fits_the_inputs() -> None:
    recorded = golden.read_golden()
    assert len(recorded.answers) == 188
    if recorded.header["rez_version"] != rez.__version__:
        pytest.skip(f"recorded with rez {recorded.header['rez_version']}")
    expected = {**header(), "pythonhashseed": "0"}
    assert recorded.header == expected
    digests = recorded.header["inputs_sha256"]
    assert all(digest in (STUDIO.parent / "README.md").read_text() for digest in digests.values())
    assert sum(answer.num_solves for answer in recorded.answers) == 30_973
    assert sum(answer.num_fails for answer in recorded.answers) == 199


def test_golden_file_is_what_rez_answers(benchmark: list[prepare.DataPackage]) -> None:
    recorded, requests = golden.read_golden(), prepare.benchmark_requests()
    with RezOracle(benchmark) as oracle:
        for number in (1, 2):
            assert golden_answer(oracle.solve(requests[number])) == recorded.answers[number]


def test_golden_file_round_trip(tmp_path: Path) -> None:
    recorded = golden.read_golden()
    golden.write_golden(tmp_path / "again.json", recorded.header, recorded.answers)
    assert (tmp_path / "again.json").read_bytes() == golden.GOLDEN_FILE.read_bytes()


def test_studio_files_are_up_to_date(tmp_path: Path) -> None:
    script = tmp_path / "make_studio.py"
    script.write_bytes((STUDIO / "make_studio.py").read_bytes())
    subprocess.run([sys.executable, str(script)], check=True)
    for name in ("packages.json", "requests.json"):
        assert (tmp_path / name).read_bytes() == (STUDIO / name).read_bytes(), f"{name}: run make_studio.py again"


def test_studio_answers() -> None:
    entries = json.loads((STUDIO / "requests.json").read_text())["requests"]
    readme = (STUDIO / "README.md").read_text()
    with RezOracle(prepare.read_packages(STUDIO / "packages.json")) as oracle:
        for entry in entries:
            answer = oracle.solve(entry["requests"], **entry["options"])
            reason = answer.failure_kind or answer.error_type
            assert entry["expected"] == (f"{answer.status} {reason}" if reason else answer.status), entry["name"]
            assert f"| {entry['name']} |" in readme
