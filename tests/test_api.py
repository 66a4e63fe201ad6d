"""The public API: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from rez.exceptions import PackageRequestError as RezPackageRequestError
from rez.packages import iter_packages
from rez.solver import Solver
from rez.utils.formatting import PackageRequest as RezPackageRequest
from rez.version import Requirement as RezRequirement
from rez.version import RequirementList as RezRequirementList
from rez.version import VersionError as RezVersionError

import rer_numba
from rer_numba import PackageData, Repository, ResolvedVariant, SolveResult, errors, solve
from rer_numba.requirements import Requirement
from tests.case import Case, Package
from tests.compare import find_difference
from tests.oracle import Answer, RezOracle, ask_rez
from tests.process import ROOT
from tests.product import as_requests, package_data, repository_of
from tests.random_cases import random_case

LIB = [PackageData("lib", "1.0"), PackageData("lib", "2.0")]
APP = PackageData(
    "app",
    "1.0",
    ["lib", ".feat-1+"],
    [["lib-1"], ["tool-1", "lib-1+"]],
    build_requires=["kit"],
    timestamp=1_700_000_000,
)
ALL = [APP, *LIB, PackageData("tool", "1"), PackageData("kit", "3"), PackageData("plain", "")]


@pytest.fixture
def repository() -> Repository:
    """A small repository."""
    return Repository.from_packages(ALL)


# ---- results


def test_a_solution(repository: Repository) -> None:
    result = repository.solve(["app", "lib-2", "plain", "!tool-2"])
    assert result.status == "solved"
    assert result.resolved == [("lib", "2.0", None), ("tool", "1", None), ("app", "1.0", 1), ("plain", "", None)]
    assert result.resolved_packages == [
        ResolvedVariant("lib", "2.0", None, [], "lib/2.0/package.py[]"),
        ResolvedVariant("tool", "1", None, [], "tool/1/package.py[]"),
        ResolvedVariant("app", "1.0", 1, ["lib-1+", ".feat-1+", "tool-1"], "app/1.0/package.py[1]"),
        ResolvedVariant("plain", "", None, [], "plain/package.py[]"),
    ]
    assert result.resolved_packages is result.resolved_packages
    assert result.resolved_ephemerals == [".feat-1+"]
    assert (result.failure_description, result.error_type, result.num_fails) == (None, None, 0)
    assert result.num_solves == 1
    assert result.solve_time_ms > 0
    assert result.raise_for_status() is None
    assert "solved" in repr(result) and "4 packages" in repr(result)


def test_a_failure(repository: Repository) -> None:
    result = repository.solve(["app", "lib-1", "!lib-1"])
    text = "The following package conflicts occurred: (lib-1 <--!--> !lib-1)"
    assert (result.status, result.failure_description, result.error_type) == ("failed", text, None)
    assert (result.resolved, result.resolved_packages, result.resolved_ephemerals) == ([], [], [])
    assert (result.num_solves, result.num_fails) == (0, 1)
    with pytest.raises(errors.ResolveError) as caught:
        result.raise_for_status()
    assert str(caught.value) == text
    assert "failed" in repr(result)


@pytest.mark.parametrize(
    ("requests", "kind", "text"),
    [
        (["nowhere"], errors.PackageFamilyNotFoundError, "package family not found: nowhere (searched: <packages>)"),
        (["lib-9"], errors.PackageNotFoundError, "Package could not be found: lib-9"),
        (["no name"], errors.PackageRequestError, "Not a valid package name: 'no name'"),
        (["lib-3+<2"], errors.VersionError, "Invalid version range '3+<2': Invalid bound"),
    ],
)
def test_an_error(repository: Repository, requests: list[str], kind: type[Exception], text: str) -> None:
    result = repository.solve(requests)
    assert (result.status, result.error_type, result.failure_description) == ("error", kind.__name__, text)
    assert (result.resolved, result.resolved_packages, result.resolved_ephemerals) == ([], [], [])
    with pytest.raises(kind) as caught:
        result.raise_for_status()
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert kind.__name__ in repr(result)


def test_searched_paths_are_named() -> None:
    repository = Repository.from_packages(LIB, paths=["/sw/a", "/sw/b"])
    text = "package family not found: nowhere (searched: /sw/a; /sw/b)"
    assert repository.solve(["nowhere"]).failure_description == text


def test_an_empty_request(repository: Repository) -> None:
    result = repository.solve([])
    assert (result.status, result.resolved, result.resolved_ephemerals) == ("solved", [], [])
    assert Answer.of(result) == ask_rez(ALL, [])


def test_no_packages() -> None:
    repository = Repository.from_packages([])
    assert repository.solve([]).status == "solved"
    assert repository.solve(["!lib", ".feat-1"]).resolved_ephemerals == [".feat-1"]
    assert repository.solve(["lib"]).error_type == "PackageFamilyNotFoundError"


def test_a_changed_result_changes_nothing(repository: Repository) -> None:
    """Lists that were handed out are the user's."""
    first = repository.solve(["app"])
    first.resolved_packages[-1].requires.append("nonsense")
    first.resolved.clear()
    first.resolved_ephemerals.clear()
    again = repository.solve(["app"])
    assert again.resolved_packages[-1].requires == ["lib-1", ".feat-1+"]
    assert again.resolved_ephemerals == [".feat-1+"]


def test_options(repository: Repository) -> None:
    assert ("kit", "3", None) in repository.solve(["app"], building=True).resolved
    assert ("kit", "3", None) not in repository.solve(["app"]).resolved
    lacking = Repository.from_packages([PackageData("app", "1", [], [["nowhere"], ["lib"]]), *LIB])
    assert lacking.solve(["app"]).error_type == "PackageFamilyNotFoundError"
    assert ("app", "1", 1) in lacking.solve(["app"], error_on_missing_variant_requires=False).resolved
    packages = [PackageData("app", "1", [], [["lib-1", "tool"], ["lib-2"]]), *LIB, PackageData("tool", "1")]
    modes = Repository.from_packages(packages)
    for mode in ("version_priority", "intersection_priority"):
        result = modes.solve(["app", "lib", "tool"], variant_select_mode=mode)
        assert Answer.of(result) == ask_rez(packages, ["app", "lib", "tool"], variant_select_mode=mode)
    assert modes.solve(["app", "lib", "tool"]).resolved != result.resolved


def test_requires_of_a_result_are_merged_as_rez_merges_them() -> None:
    package = Package("app", "1", ["lib-1+", ".feat", "tool", "lib<3"], [["tool-1", "~kit", "lib-2"]], ["tool<5"])
    others = [Package("lib", "2.0"), Package("tool", "1")]
    for building in (False, True):
        texts = [*package.requires, *package.variants[0], *(package.build_requires if building else [])]
        expected = [str(item) for item in RezRequirementList(list(map(RezRequirement, texts))).requirements]
        result = repository_of([package, *others]).solve(["app"], building=building)
        assert [package.requires for package in result.resolved_packages if package.name == "app"] == [expected]


# ---- failures are described when somebody asks


def test_failures_are_described_later() -> None:
    """Work arrays are used again by then, by other requests and other modes."""
    cases = [case for case in map(random_case, range(60)) if ask_rez(case.packages, case.requests, **case.options)]
    for case in cases[:30]:
        repository = repository_of(case.packages)
        expected = Answer.of(repository.solve(as_requests(case.requests), **case.options))
        result = repository.solve(as_requests(case.requests), **case.options)
        for package in case.packages:
            repository.solve([package.name])
            repository.solve([package.name], variant_select_mode="intersection_priority", building=True)
        assert Answer.of(result) == expected


def test_a_failure_is_described_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    result = repository.solve(["app", "!tool", "lib-2"])
    assert (result.status, result.num_fails) == ("failed", 1)
    text = result.failure_description
    monkeypatch.setattr("rer_numba.engine.Session.run", None)
    assert result.failure_description == text


# ---- what is refused


@pytest.mark.parametrize("requests", ["lib", b"lib", 1, None, [1], [None], [b"lib"], ["lib", ["lib"]], [object()]])
def test_requests_of_the_wrong_type(repository: Repository, requests: Any) -> None:
    with pytest.raises(TypeError):
        repository.solve(requests)
    good, bad = repository.solve_many([["lib"], requests])
    assert (good.status, bad.status, bad.error_type) == ("solved", "error", "TypeError")


def test_many_requests_of_the_wrong_type(repository: Repository) -> None:
    for requests in ("lib", b"lib", None, 1):
        with pytest.raises(TypeError):
            repository.solve_many(requests)  # type: ignore[arg-type]


def test_options_that_are_wrong(repository: Repository) -> None:
    with pytest.raises(ValueError, match="version_priority, intersection_priority"):
        repository.solve(["lib"], variant_select_mode="newest")
    with pytest.raises(TypeError):
        repository.solve(["lib"], no_such_option=True)
    with pytest.raises(TypeError):
        repository.solve(["lib"], "version_priority")  # type: ignore[misc]


@pytest.mark.parametrize("packages", [None, 1, [None], ["lib-1"], [("lib", "1")]])
def test_packages_of_the_wrong_type(packages: Any) -> None:
    with pytest.raises(TypeError):
        Repository.from_packages(packages)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PackageData("lib"),  # type: ignore[call-arg]
        lambda: PackageData("lib", 1),  # type: ignore[arg-type]
        lambda: PackageData("lib", None),  # type: ignore[arg-type]
        lambda: PackageData(None, "1"),  # type: ignore[arg-type]
        lambda: PackageData("lib", "1", "tool"),
        lambda: PackageData("lib", "1", [], ["tool"]),
        lambda: PackageData("lib", "1", [], [], ["tool"]),  # type: ignore[misc]
        lambda: PackageData("lib", "1", build_requires="tool"),
        lambda: PackageData.from_strings("lib", "1", [RezRequirement("tool")]),  # type: ignore[list-item]
        lambda: PackageData.from_strings("lib", "1", [], [[1]]),  # type: ignore[list-item]
        lambda: PackageData.from_strings("lib", 1),  # type: ignore[arg-type]
    ],
)
def test_package_data_of_the_wrong_type(make: Callable[[], PackageData]) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    "text",
    ["", " ", " lib ", "lib 1", "h\u00e9", "a..b", "!", "~", "!.feat", "~.feat-1", ".", "-1", "lib-1..0", "lib>3<3",
     "lib-2.0,3", "lib-*", "lib-1|", "lib==1==2", "__pycache__", "lib-1.", "a/b", "lib-\n1"],
)  # fmt: skip
def test_texts_that_are_no_request(repository: Repository, text: str) -> None:
    """The class and the words are those of rez."""
    result = repository.solve(["lib", text])
    try:
        RezPackageRequest(text)
    except (RezPackageRequestError, RezVersionError) as error:
        expected = ("error", type(error).__name__, str(error))
        assert (result.status, result.error_type, result.failure_description) == expected
        with pytest.raises(getattr(errors, type(error).__name__)):
            result.raise_for_status()
    else:
        assert result.error_type not in ("PackageRequestError", "VersionError")


# ---- requests


def test_requests_as_objects(repository: Repository) -> None:
    """Ours, those of rez and texts mean the same, also mixed; a generator will do."""
    texts = ["app", "lib-2", "!tool-2", "~plain"]
    expected = Answer.of(repository.solve(texts))
    for requests in (
        list(map(Requirement, texts)),
        list(map(RezRequirement, texts)),
        list(map(RezPackageRequest, texts)),
        [Requirement("app"), "lib-2", RezRequirement("!tool-2"), "~plain"],
        tuple(texts),
        iter(texts),
    ):
        assert Answer.of(repository.solve(requests)) == expected
    assert Answer.of(repository.solve([Requirement("!.feat-2"), "app"])) == ask_rez(ALL, ["!.feat-2", "app"])


def test_versions_that_the_repository_never_saw(repository: Repository) -> None:
    """Bounds between, below and above those it has, also several in the same gap."""
    for request in (
        ["lib-0.5+<0.7"], ["lib>1.0<2.0"], ["lib>0.1<2"], ["lib<0.0.1"], ["lib>99"], ["!lib>1.0.1", "lib"],
        ["lib>1.1<1.9|>2.1"], ["lib>1.1|<0.9", "lib<1.5"], ["!lib<1.0.0.1", "lib"], ["!.feat>1.5<1.7", ".feat-1+<2"],
        [".feat>1.2|<1.1", ".feat<1.3|>5"], ["lib-1.0.0+<1.0.1"],
    ):  # fmt: skip
        difference = find_difference(Case(list(map(_package, ALL)), request))
        assert difference is None, str(difference)


def _package(data: PackageData) -> Package:
    return Package(data.name, data.version, data.requires, data.variants, data.build_requires, data.timestamp, data.uri)


def test_many(repository: Repository) -> None:
    requests = [["app"], ["lib-1"], ["nowhere"], ["lib", "!lib"], []]
    results = repository.solve_many(requests)
    assert len(results) == len(requests)
    assert [result.status for result in results] == ["solved", "solved", "error", "failed", "solved"]
    assert [Answer.of(result) for result in results] == [Answer.of(repository.solve(request)) for request in requests]
    assert list(repository.solve_many([])) == []
    built = repository.solve_many(requests[:2], building=True)
    assert [("kit", "3", None) in result.resolved for result in built] == [True, False]


# ---- packages


def test_uris() -> None:
    packages = [
        PackageData("app", "1", [], [["lib"], ["lib-1"]], uri="/sw/app/1/package.yaml"),
        PackageData("lib", "1", uri="memory@x:lib-1"),
        PackageData("tool", "2-b"),
        PackageData("plain", "", uri="/sw/plain/package.py"),
    ]
    result = Repository.from_packages(packages).solve(["app", "tool", "plain"])
    assert ("app", "1", 1) in result.resolved
    assert {package.name: package.uri for package in result.resolved_packages} == {
        "app": "/sw/app/1/package.yaml[1]",
        "lib": "memory@x:lib-1[]",
        "tool": "tool/2-b/package.py[]",
        "plain": "/sw/plain/package.py[]",
    }


def write_tree(folder: Path, packages: list[Package]) -> None:
    """Write packages as rez keeps them on disk."""
    for package in packages:
        place = folder / package.name / package.version
        place.mkdir(parents=True, exist_ok=True)
        lines = [f"name = {package.name!r}", f"requires = {package.requires!r}"]
        if package.version:
            lines.append(f"version = {package.version!r}")
        if package.variants:
            lines.append(f"variants = {package.variants!r}")
        if package.build_requires:
            lines.append(f"build_requires = {package.build_requires!r}")
        if package.timestamp:
            lines.append(f"timestamp = {package.timestamp!r}")
        (place / "package.py").write_text("\n".join(lines))


def test_packages_of_rez(tmp_path: Path) -> None:
    """Loaded by rez from disk: every field, and the uris are those of rez's own variants."""
    written = [
        Package("app", "1.0", ["lib-1+", "!tool-2"], [["lib-1"], ["lib-2", ".feat"]], ["kit"], 1_700_000_000),
        Package("lib", "1.0"),
        Package("lib", "2.0-beta"),
        Package("kit", "1"),
        Package("plain", ""),
    ]
    write_tree(tmp_path, written)
    with RezOracle.at_paths([str(tmp_path)]) as oracle:
        names = ("app", "kit", "lib", "plain")
        loaded = [package for name in names for package in iter_packages(name, paths=oracle.paths)]
        packages = [PackageData.from_rez(package) for package in loaded]
        app = packages[0]
        assert (app.name, app.version, app.timestamp) == ("app", "1.0", 1_700_000_000)
        assert (app.requires, app.build_requires) == (["lib-1+", "!tool-2"], ["kit"])
        assert app.variants == [["lib-1"], ["lib-2", ".feat"]]
        assert app.uri == loaded[0].uri == str(tmp_path / "app" / "1.0" / "package.py")
        assert packages[-1].version == ""
        repository = Repository.from_packages(packages, paths=oracle.paths)
        for request in (["app"], ["app", "lib-2"], ["plain", "kit"], ["nowhere"]):
            assert Answer.of(repository.solve(request)).tier_b() == oracle.solve(request).tier_b()
        solver = Solver([RezRequirement("app"), RezRequirement("plain")], oracle.paths)
        solver.solve()
        result = repository.solve(["app", "plain"])
        uris = [variant.variant.uri for variant in solver.resolved_packages]
        assert [package.uri for package in result.resolved_packages] == uris


def test_packages_from_strings() -> None:
    made = PackageData.from_strings("app", "1.0", ["lib"], [["tool"], []])
    assert made == PackageData("app", "1.0", ["lib"], [["tool"], []])
    assert PackageData.from_strings("app", "") == PackageData("app", "")


def test_packages_are_values() -> None:
    assert pickle.loads(pickle.dumps(APP)) == APP
    assert PackageData("app", "1.0") != APP
    assert APP.__eq__("app-1.0") is NotImplemented
    APP.requires.append("nonsense")
    APP.variants[0].append("nonsense")
    assert APP.requires == ["lib", ".feat-1+"]
    assert APP.variants == [["lib-1"], ["tool-1", "lib-1+"]]
    assert eval(repr(LIB[0])) == LIB[0]


def test_requirements_of_rez_in_packages() -> None:
    made = PackageData("app", "1", [RezRequirement("lib-1+")], [[RezRequirement("!tool")]])
    assert (made.requires, made.variants) == (["lib-1+"], [["!tool"]])


@pytest.mark.parametrize("versions", [("1.0", "1-0"), ("1-0", "1.0")])
def test_of_equal_versions_the_first_counts(versions: tuple[str, str]) -> None:
    packages = [PackageData("lib", version, [f"tool-{place}"]) for place, version in enumerate(versions, start=1)]
    packages += [PackageData("tool", "1"), PackageData("tool", "2")]
    for request in (["lib"], ["lib-1.0"], ["lib==1-0"]):
        result = Repository.from_packages(packages).solve(request)
        assert result.resolved == [("tool", "1", None), ("lib", versions[0], None)]
        assert Answer.of(result) == ask_rez(packages, request)


def test_equal_packages_from_two_paths() -> None:
    lib = [PackageData("lib", "1", ["tool"], uri="/a"), PackageData("lib", "1", uri="/b")]
    result = Repository.from_packages([*lib, PackageData("tool", "1")]).solve(["lib"])
    assert [package.uri for package in result.resolved_packages] == ["tool/1/package.py[]", "/a[]"]


# ---- saved, opened, pickled


def test_saved_and_opened(repository: Repository, tmp_path: Path) -> None:
    requests = [["app"], ["app", "lib-2"], ["nowhere"], ["lib-9"], ["app", "!tool", "lib-2"]]
    path = tmp_path / "site.rer"
    assert (repository.path, repository.fingerprint) == (None, None)
    repository.save(path)
    opened = Repository.open(str(path))
    assert opened.path == repository.path == str(path)
    assert opened.fingerprint == repository.fingerprint
    assert opened.paths == repository.paths
    for building in (False, True):
        for request in requests:
            one, two = (r.solve(request, building=building) for r in (repository, opened))
            assert Answer.of(one) == Answer.of(two)
            assert one.resolved_packages == two.resolved_packages
    assert repr(opened) == repr(repository)


def test_pickled(repository: Repository, tmp_path: Path) -> None:
    """As path and fingerprint, once it is saved."""
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(repository)
    repository.save(tmp_path / "site.rer")
    data = pickle.dumps(repository)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert again.solve(["app"]).resolved == repository.solve(["app"]).resolved
    Repository.from_packages(LIB).save(tmp_path / "site.rer")
    with pytest.raises(errors.RerError, match="written again"):
        pickle.loads(data)
    (tmp_path / "site.rer").unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)


def test_pickled_into_another_process(repository: Repository, tmp_path: Path) -> None:
    repository.save(tmp_path / "site.rer")
    (tmp_path / "pickle").write_bytes(pickle.dumps(repository))
    program = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).solve(['app']).resolved)"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "pickle"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(repository.solve(["app"]).resolved)


def test_an_open_repository_outlives_its_file(repository: Repository, tmp_path: Path) -> None:
    repository.save(tmp_path / "site.rer")
    opened = Repository.open(tmp_path / "site.rer")
    Repository.from_packages(LIB).save(tmp_path / "site.rer")
    assert opened.solve(["app"]).resolved == repository.solve(["app"]).resolved
    assert Repository.open(tmp_path / "site.rer").solve(["app"]).error_type == "PackageFamilyNotFoundError"


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Repository.open(tmp_path / "missing.rer")
    (tmp_path / "text.rer").write_text("no repository")
    with pytest.raises(errors.RepositoryFileError, match=r"text\.rer"):
        Repository.open(tmp_path / "text.rer")


# ---- threads

N_THREADS = 16


def test_threads_on_one_repository() -> None:
    """All with the same repository, each with its own order of requests, modes and failures."""
    packages = _hard_packages()
    repository = Repository.from_packages(packages)
    names = sorted({package.name for package in packages})
    jobs = [
        (request, mode, building)
        for request in [*([name] for name in names), *([a, b] for a in names for b in names if a < b)]
        for mode in ("version_priority", "intersection_priority")
        for building in (False, True)
    ]
    expected = [_full(_solve(repository, job)) for job in jobs]
    assert {answer[0].status for answer in expected} >= {"solved", "failed"}
    barrier = threading.Barrier(N_THREADS)

    def work(seed: int) -> None:
        order = list(range(len(jobs)))
        random.Random(seed).shuffle(order)
        barrier.wait()
        results = {number: _solve(repository, jobs[number]) for number in order}
        for number in order:
            assert _full(results[number]) == expected[number]

    with ThreadPoolExecutor(N_THREADS) as pool:
        list(pool.map(work, range(N_THREADS)))


def _hard_packages() -> list[PackageData]:
    """Those of a random case with many failed phases, and two that cannot be had together."""
    case = next(case for case in map(random_case, range(500)) if "backtrack" in case.origin and len(case.packages) > 25)
    rivals = [PackageData("one", "1", [case.packages[0].name + "==1"]), PackageData("two", "1", ["!one"])]
    return [*map(package_data, case.packages), *rivals]


def _solve(repository: Repository, job: tuple[list[str], str, bool]) -> SolveResult:
    request, mode, building = job
    return repository.solve(request, variant_select_mode=mode, building=building)


def _full(result: SolveResult) -> tuple[Answer, list[ResolvedVariant]]:
    return Answer.of(result), result.resolved_packages


# ---- what pyrer gets wrong

A2 = [Package("a", "2.0")]
GHOST = [Package("a", "2", ["ghost"]), Package("a", "1")]


@pytest.mark.parametrize(
    ("packages", "requests"),
    [
        pytest.param(A2, ["a>2.0"], id="exclusive lower bound"),
        pytest.param([*A2, Package("a", "2.0.1")], ["a>2.0"], id="exclusive lower bound, one left"),
        pytest.param([Package("a", v) for v in ("1", "2", "2.1", "3")], ["a-1+<=2"], id="inclusive upper bound"),
        pytest.param([Package("a", v) for v in ("1", "2", "2.1", "3")], ["a>1<=2"], id="both"),
        pytest.param([Package("a", v) for v in "1234"], ["a<3|>3"], id="all but one"),
        pytest.param([Package("a", "3")], ["a<3|>3"], id="all but the only one"),
        pytest.param([Package("a", v) for v in "12"], ["!a>1", "a"], id="conflict above"),
        *(pytest.param(A2, [f"a{text}"], id=f"no range: {text}") for text in ("-3+<2", "-3..2", ">3<3", "-2.0,3")),
        *(pytest.param(A2, [f"a{text}"], id=f"odd range: {text}") for text in ("-+", ">", ">=", "-..", "==", "<")),
        pytest.param([Package("a", "1", [], [["b-1", "b-2"]]), Package("b", "1")], ["a"], id="conflict in a variant"),
        pytest.param(
            [Package("a", "2", ["b-1", "b-2"]), Package("a", "1"), Package("b", "1")], ["a"], id="conflict in a package"
        ),
        pytest.param(GHOST, ["a"], id="missing family of a dependency"),
        pytest.param([Package("a", "2", ["b-9"]), Package("a", "1"), Package("b", "1")], ["a"], id="missing version"),
        pytest.param(A2, ["nope"], id="missing family"),
        pytest.param([Package("a", ""), Package("b", "1", ["a"])], ["b"], id="unversioned dependency"),
        pytest.param([Package("a", "")], ["a-1"], id="unversioned and a range"),
        pytest.param([Package("a", ""), Package("b", "1", ["a"])], ["b", "!a-1"], id="unversioned and a conflict"),
        pytest.param([Package("a", "1..2")], ["a"], id="bad version"),
        pytest.param([Package("a", "1-0"), Package("a", "1.0")], ["a"], id="two spellings"),
        pytest.param([Package("a", "1"), Package("a", "1", ["ghost"])], ["a"], id="twice the same"),
        pytest.param([Package("a", "1", ["b"]), Package("b", "1", ["c"]), Package("c", "1", ["a"])], ["a"], id="cycle"),
    ],
)
@pytest.mark.parametrize("tolerant", [False, True], ids=["", "tolerant"])
def test_what_pyrer_gets_wrong(packages: list[Package], requests: list[str], tolerant: bool) -> None:
    """Each a bug found by running it: exact ranges, lazy errors, unversioned packages, text."""
    options = {"error_on_missing_variant_requires": False} if tolerant else {}
    difference = find_difference(Case(packages, requests, options))
    assert difference is None, str(difference)


def test_a_missing_dependency_is_no_conflict() -> None:
    """Not skipped for an older version, unless asked to."""
    repository = repository_of(GHOST)
    text = "package family not found: ghost, was required by: a (searched: <packages>)"
    assert repository.solve(["a-2"]).failure_description == text
    assert repository.solve(["a"]).failure_description == text
    assert repository.solve(["a"], error_on_missing_variant_requires=False).resolved == [("a", "1", None)]
    tolerated = repository.solve(["a-2"], error_on_missing_variant_requires=False)
    assert (tolerated.status, tolerated.failure_description) == ("failed", "Solver failed with unknown reason.")


# ---- the function form


def test_solve_function() -> None:
    expected = Answer.of(Repository.from_packages(ALL).solve(["app"]))
    assert Answer.of(solve(["app"], ALL)) == expected
    assert Answer.of(solve(["app"], iter(ALL))) == expected
    assert Answer.of(solve(["app"], ALL, variant_select_mode="intersection_priority")).status == "solved"
    assert solve(["nowhere"], ALL).error_type == "PackageFamilyNotFoundError"


def test_solve_function_loads_families() -> None:
    asked: list[str] = []

    def load(name: str) -> list[PackageData]:
        asked.append(name)
        return [package for package in ALL if package.name == name]

    assert Answer.of(solve(["app"], load_family=load)) == Answer.of(solve(["app"], ALL))
    assert sorted(asked) == ["app", "lib", "tool"] or sorted(asked) == ["app", "kit", "lib", "tool"]
    asked.clear()
    assert solve(["app"], ALL, load_family=load).status == "solved"
    assert asked == []


def test_solve_function_loader_raises() -> None:
    def broken(name: str) -> list[PackageData]:
        raise KeyError(name)

    def interrupted(name: str) -> list[PackageData]:
        raise KeyboardInterrupt

    result = solve(["app"], load_family=broken)
    assert result.status == "error"
    assert "load_family('app') raised KeyError" in str(result.failure_description)
    with pytest.raises(KeyboardInterrupt):
        solve(["app"], load_family=interrupted)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((["app"],), {}), (("app", ALL), {}), ((["app"], ["lib-1"]), {}), ((["app"], None), {}), (([1], ALL), {})],
)
def test_solve_function_refuses(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        solve(*arguments, **options)


def test_public_names() -> None:
    assert set(rer_numba.__all__) >= {"PackageData", "Repository", "ResolvedVariant", "SolveResult", "solve"}
    for name in rer_numba.__all__:
        assert getattr(rer_numba, name) is not None
    with pytest.raises(AttributeError):
        rer_numba.no_such_name  # noqa: B018
