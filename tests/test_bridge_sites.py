"""Which tables answer for package paths: answers and handles as live rez gives them, whatever the paths are made of."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import rez
from rez import config as rez_config
from rez.package_repository import package_repository_manager
from rez.solver import Solver, SolverStatus
from rez.version import Requirement

from rer_numba.assembly import AssembledSnapshot
from rer_numba.errors import PackageRequestError
from rer_numba.generations import BESIDE
from rer_numba.options import SolveOptions
from rer_numba.packages import LATE, PROCESS, PackageData
from rer_numba.partial import UNREAD
from rer_numba.paths.settings import PathSettings
from rer_numba.repository import Repository
from rer_numba.requests import parse_requests
from rer_numba.results import SolveResult
from rer_numba.rez_bridge.published import VARIABLE
from rer_numba.rez_bridge.sites import Site, forget_sites, site_of
from rer_numba.touched import Touched
from tests.oracle import Answer, RezOracle, _rez_filter
from tests.order_cases import makes_keys
from tests.random_cases import random_case
from tests.random_tree import TreeCase, let_settle, make_tree, mutate, wait_a_tick
from tests.rez_folders import rez_as
from tests.test_paths import comparable, rez_for
from tests.tree_texts import GOOD

DEFAULTS = PathSettings()
MANY = 500
"""More solves than any case needs: to end one that does not settle."""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    forget_sites()
    yield
    forget_sites()
    package_repository_manager.clear_caches()


def solve(
    paths: Sequence[str], requests: Sequence[str], options: SolveOptions | None = None, *, prepared: bool = True
) -> tuple[Site, SolveResult, AssembledSnapshot]:
    """Solve as the bridge does: until nothing that was touched is missing."""
    merged = parse_requests(requests)
    assert not merged.conflict
    site = site_of(paths)
    if prepared:
        site.prepare(merged)
    for _ in range(MANY):
        snapshot = site.snapshot
        running = snapshot.begin(merged, options or SolveOptions(), paths)
        running.run()
        is_short = site.settle(snapshot, running.looked_at())
        running.close()
        if not is_short:
            result, _ = snapshot.solve(merged, options or SolveOptions(), paths)
            assert result.error_type != UNREAD
            return site, result, snapshot
    raise AssertionError("it never settles")


def handles(site: Site, snapshot: AssembledSnapshot, result: SolveResult) -> list[str]:
    """The handles of a result, as JSON, which keeps the order of keys."""
    rows = {}
    for variant in range(len(snapshot.tables.variant_package)):
        rows[snapshot.reader.variant_name(variant)] = variant
    return [json.dumps(site.handle(snapshot, rows[resolved])) for resolved in result.resolved]


def rez_handles(paths: Sequence[str], requests: Sequence[str], **options: Any) -> list[str]:
    solver = Solver([Requirement(text) for text in requests], list(paths), **options)
    solver.solve()
    assert solver.status == SolverStatus.solved
    return [json.dumps(one.handle) for one in solver.resolved_packages]


def write(folder: Path, name: str, version: str, text: str = "") -> Path:
    file = folder / name / version / "package.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text or "timestamp = 5\n")
    return file


def publish(paths: Sequence[str], target: Path, settings: PathSettings = DEFAULTS) -> None:
    Repository.from_paths(paths, path_settings=settings, processes=1).save(f"{target}{os.sep}")


def beside(path: str) -> Path:
    return Path(path, BESIDE)


# ---- random trees


def assert_equal_to_rez(
    tree: TreeCase, paths: list[str], requests: list[str], label: str, options: SolveOptions, *, prepared: bool
) -> None:
    with RezOracle.at_paths([]) as oracle:
        oracle.paths = paths
        rez_options = {"package_filter": _rez_filter(None, options.timestamp), "building": options.building}
        expected = oracle._ask(requests, (), rez_options)
        site, result, snapshot = solve(paths, requests, options, prepared=prepared)
        if result.error_type in (LATE, PROCESS):  # rez solves it
            return
        whole = TreeCase(tree.root, paths, tree.settings, [], [], "")
        assert comparable(whole, Answer.of(result)) == comparable(whole, expected), label
        if expected.status == "solved":
            assert handles(site, snapshot, result) == rez_handles(paths, requests, **rez_options), label


def random_paths(rng: random.Random, tree: TreeCase, memory: RezOracle) -> list[str]:
    """Publish some runs of the paths of a tree, and put a repository in memory between them."""
    paths = list(tree.paths)
    listed = []
    kind = rng.randrange(4)
    if kind == 0:
        publish(paths, tree.root / "encoded", tree.settings)
        listed.append(str(tree.root / "encoded"))
    for path in paths:
        if kind in (1, 2) and os.path.isdir(path) and rng.random() < 0.6:
            publish([path], beside(path), tree.settings)
    os.environ[VARIABLE] = os.pathsep.join(listed)
    if rng.random() < 0.5:
        paths.insert(rng.randint(0, len(paths)), memory.paths[0])
    return paths


def memory_packages(rng: random.Random) -> list[PackageData]:
    return [
        PackageData(name, version, [rng.choice(GOOD)] if name != GOOD[0] and rng.random() < 0.5 else [], timestamp=7)
        for name in (*GOOD, "alpha", "maya")
        for version in rng.sample(("1.0", "1.1", "2.0", "4", "11"), 2)
    ]


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_random_trees(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    for seed in range(first, first + 6):
        rng = random.Random(seed)
        tree = make_tree(tmp_path / str(seed), seed)
        let_settle(tree.root)
        options = rng.choice((SolveOptions(), SolveOptions(building=True), SolveOptions(timestamp=500_000_000)))
        with rez_for(tree), RezOracle(memory_packages(rng)) as memory:
            repository = package_repository_manager.repositories[memory.paths[0]]
            paths = random_paths(rng, tree, memory)
            done = []
            for _ in range(3):
                package_repository_manager.repositories[memory.paths[0]] = repository
                for requests in tree.requests:
                    if not parse_requests(requests).conflict:
                        label = f"seed {seed}: {requests} {paths} {done}"
                        assert_equal_to_rez(tree, paths, requests, label, options, prepared=rng.random() < 0.7)
                done.append(mutate(tree, rng))
                package_repository_manager.clear_caches()


def test_random_cases_in_memory() -> None:
    """Repositories that reach every mechanism of the solver, read as far as solves reach."""
    for seed in range(120):
        case = random_case(seed)
        if any(key not in ("variant_select_mode", "building") for key in case.options):
            continue
        try:
            if parse_requests(case.requests).conflict:
                continue
        except PackageRequestError:
            continue
        with RezOracle(case.packages) as oracle:
            expected = oracle.solve(case.requests, **case.options)
            if expected.internal:
                continue
            _, result, _ = solve(oracle.paths, case.requests, SolveOptions(**case.options), prepared=seed % 3 > 0)
            assert Answer.of(result).tier_b() == expected.tier_b(), case.origin


# ---- read as far as solves reach


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A path with a chain of families, each in three versions."""
    with rez_as(DEFAULTS):
        path = tmp_path / "packages"
        for name, other in (("app", "lib"), ("lib", "base"), ("base", None), ("other", "app")):
            for version in ("1", "2", "3"):
                write(path, name, version, f"requires = ['{other}-{version}']\n" if other else "")
        let_settle(tmp_path)
        yield path


def read_packages(site: Site) -> list[str]:
    partial = site.snapshot.partial
    found = [
        f"{name}-{listed.version}"
        for name, listing in partial.listings.items()
        for row, listed in enumerate(listing.packages)
        if partial.package(name, row) is not None
    ]
    return sorted(found)


@pytest.mark.parametrize("prepared", [True, False])
def test_only_what_rez_would_load_is_read(folder: Path, prepared: bool) -> None:
    write(folder, "app", "9", "this is no Python")
    write(folder, "unrelated", "1")
    site, result, _ = solve([str(folder)], ["app-2"], prepared=prepared)
    assert result.resolved == [("base", "2", None), ("lib", "2", None), ("app", "2", None)]
    assert read_packages(site) == ["app-2", "base-2", "lib-2"]
    assert sorted(site.snapshot.partial.listings) == ["app", "base", "lib"]


def test_a_chain_takes_one_solve_when_prepared(folder: Path) -> None:
    site, result, _ = solve([str(folder)], ["other-3"])
    assert result.status == "solved" and site.waves == 1  # with all that is needed


def test_a_broken_package_in_range(folder: Path) -> None:
    write(folder, "app", "9", "this is no Python")
    _, result, _ = solve([str(folder)], ["app"])
    with RezOracle.at_paths([str(folder)]) as oracle:
        assert Answer.of(result).tier_a()[3] == oracle.solve(["app"]).error_type is not None


def test_a_site_is_kept_and_grows(folder: Path) -> None:
    first, *_ = solve([str(folder)], ["base-1"])
    second, *_ = solve([str(folder)], ["app-3"])
    assert first is second
    assert read_packages(first) == ["app-3", "base-1", "base-3", "lib-3"]
    waves = first.waves
    solve([str(folder)], ["lib-3"])
    assert first.waves == waves


def test_packages_that_were_looked_at_for_another_reason(folder: Path) -> None:
    site = site_of([str(folder)])
    site.prepare(parse_requests(["app-2"]))
    family = site.snapshot.reader.family("app")
    rows = list(range(*site.snapshot.tables.family_package_offsets[family : family + 2].tolist()))
    assert not site.settle(site.snapshot, Touched([family], rows[1:2], []))
    assert site.settle(site.snapshot, Touched([family], rows[1:2], rows[:1] + rows[2:]))
    assert {"app-1", "app-2", "app-3"} <= set(read_packages(site))


@makes_keys  # before, it sees what is left of them
def test_an_orderer_by_time_sees_whole_families(folder: Path) -> None:
    """rez reads the release times of all packages of a family, also of those out of range."""
    for version, released in (("1", 10), ("2", 30), ("3", 20)):
        write(folder, "base", version, f"timestamp = {released}\n")
    orderer = {"type": "soft_timestamp", "timestamp": 25, "rank": 0}
    options = SolveOptions(package_orderers=[orderer], rez_version=rez.__version__)
    for requests in (["base"], ["base-1|2"], ["base", "!base-3"]):
        _, result, _ = solve([str(folder)], requests, options)
        with RezOracle.at_paths([str(folder)]) as oracle:
            assert Answer.of(result).tier_a() == oracle.solve(requests, package_orderers=[orderer]).tier_a()


def test_a_package_of_rez_has_loaded_nothing(folder: Path) -> None:
    site, _, snapshot = solve([str(folder)], ["app-2"])
    package = next(row for row in range(9) if snapshot.name_of(row) == ("app", "2"))
    found = site.package(snapshot, package)
    assert found.qualified_name == "app-2" and found.uri == str(folder / "app" / "2" / "package.py")
    assert "_data" not in vars(found.resource)


def test_handle_of_a_package_without_a_version(folder: Path) -> None:
    write(folder, "tools", "", "variants = [['base-1'], ['base-2']]\n")
    let_settle(folder)
    paths = [str(folder)]
    site, result, snapshot = solve(paths, ["tools"])
    assert handles(site, snapshot, result) == rez_handles(paths, ["tools"])
    publish(paths, beside(paths[0]))
    package_repository_manager.clear_caches()
    site, result, snapshot = solve(paths, ["tools"])
    assert site.waves == 0
    assert handles(site, snapshot, result) == rez_handles(paths, ["tools"])


# ---- what makes a process look again


def clear_manager(folder: Path) -> None:
    package_repository_manager.clear_caches()


def clear_repository(folder: Path) -> None:
    package_repository_manager.get_repository(str(folder)).clear_caches()


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("clear", [clear_manager, clear_repository])
def test_looks_again_when_rez_does(folder: Path, clear: Any, published: bool) -> None:
    if published:
        publish([str(folder)], beside(str(folder)))
    first, result, _ = solve([str(folder)], ["base"])
    assert result.resolved == [("base", "3", None)]
    write(folder, "base", "4")
    assert solve([str(folder)], ["base"])[1].resolved == [("base", "3", None)]  # as rez, which remembers
    clear(folder)
    again, result, _ = solve([str(folder)], ["base"])
    assert again is not first and result.resolved == [("base", "4", None)]


def test_a_repository_in_memory_is_listed_for_each_solve(folder: Path) -> None:
    with RezOracle([PackageData("base", "7")]) as memory:
        paths = [memory.paths[0], str(folder)]
        assert solve(paths, ["base"])[1].resolved == [("base", "7", None)]
        assert site_of(paths) is site_of(paths)
        package_repository_manager.get_repository(paths[0]).data["base"]["8"] = {"name": "base", "version": "8"}
        site, result, snapshot = solve(paths, ["base"])
        assert result.resolved == [("base", "8", None)]
        assert handles(site, snapshot, result) == rez_handles(paths, ["base"])


def test_sites_of_a_process_are_bounded(tmp_path: Path) -> None:
    kept = [site_of([str(tmp_path / str(n))]) for n in range(40)]
    assert site_of([str(tmp_path / "39")]) is kept[39]
    assert site_of([str(tmp_path / "0")]) is not kept[0]


def test_no_paths_are_those_of_rez(folder: Path) -> None:
    with rez_as(DEFAULTS), pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(rez_config.config), "packages_path", [str(folder)])
        assert solve([], ["base"])[1].resolved == [("base", "3", None)]


# ---- published repositories


def test_a_published_repository_answers_without_listing(folder: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    site, result, snapshot = solve([str(folder)], ["other"])
    assert result.status == "solved" and site.waves == 0
    assert handles(site, snapshot, result) == rez_handles([str(folder)], ["other"])
    found = site.package(snapshot, snapshot.reader.variant_package(0))
    assert found.resource is package_repository_manager.get_repository(str(folder)).get_resource(
        "filesystem.package", location=str(folder), name=found.name, version=str(found.version)
    )


def test_a_local_family_is_linked_only_when_it_is_touched(folder: Path, tmp_path: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    local = tmp_path / "local"
    write(local, "lib", "3", "requires = ['mine']\n")
    write(local, "mine", "1")
    let_settle(local)
    paths = [str(local), str(folder)]
    site, result, _ = solve(paths, ["base"])
    assert site.waves == 0
    site, result, snapshot = solve(paths, ["app"])
    assert site.waves == 1
    assert result.resolved == [("mine", "1", None), ("lib", "3", None), ("app", "3", None)]
    assert handles(site, snapshot, result) == rez_handles(paths, ["app"])
    assert solve(paths[::-1], ["app"])[1].resolved == [("base", "3", None), ("lib", "3", None), ("app", "3", None)]


def test_a_local_tool_that_needs_what_is_published(folder: Path, tmp_path: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    local = tmp_path / "local"
    write(local, "tool", "1", "requires = ['missing']\n")
    write(local, "tool", "2", "requires = ['other-2', 'mine']\nvariants = [['base-2'], ['base-1']]\n")
    write(local, "mine", "1")
    let_settle(local)
    paths = [str(local), str(folder)]
    site, result, snapshot = solve(paths, ["tool", "!base-3"])
    assert result.status == "solved" and site.waves == 1
    assert handles(site, snapshot, result) == rez_handles(paths, ["tool", "!base-3"])
    assert snapshot.reader.family("base") >= 0 and solve(paths, ["tool-1"])[1].error_type is not None


def test_families_come_in_as_solves_need_them(folder: Path, tmp_path: Path) -> None:
    """More often than parts are linked: then everything is."""
    publish([str(folder)], beside(str(folder)))
    local = tmp_path / "local"
    for name in ("app", "lib", "base", "other"):
        write(local, name, "9", "")
    paths = [str(local), str(folder)]
    for requests in (["base-9"], ["lib-9", "base"], ["app", "base-1"], ["other-2"], ["app-3", "lib"], ["nothing"]):
        _, result, _ = solve(paths, requests)
        with RezOracle.at_paths([]) as oracle:
            oracle.paths = paths
            assert Answer.of(result).tier_a()[:4] == oracle._ask(requests, (), {}).tier_a()[:4]


def test_two_published_repositories(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    write(second, "lib", "3", "requires = ['extra']\n")
    write(second, "extra", "1")
    paths = [str(second), str(folder)]
    for path in paths:
        publish([path], beside(path))
    site, result, snapshot = solve(paths, ["app"])
    assert result.resolved == [("extra", "1", None), ("lib", "3", None), ("app", "3", None)]
    assert handles(site, snapshot, result) == rez_handles(paths, ["app"])
    write(second, "extra", "2")  # which only the second one watches
    package_repository_manager.clear_caches()
    assert ("extra", "2", None) in solve(paths, ["app"])[1].resolved


def test_a_run_of_paths_by_the_variable(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second, local = tmp_path / "second", tmp_path / "local"
    write(second, "extra", "1")
    local.mkdir()
    let_settle(tmp_path)
    publish([str(second), str(folder)], tmp_path / "encoded")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(tmp_path / "encoded")]))
    for paths, is_used in (
        ([local, second, folder], True),
        ([second, folder, local], True),
        ([second, local, folder], True),
        ([folder, second], False),
    ):
        site, result, _ = solve(list(map(str, paths)), ["extra", "base"])
        assert result.status == "solved" and (site.waves == 0) == is_used, paths


def generation(folder: Path) -> str:
    return (beside(str(folder)) / "current").read_text()


def anew(folder: Path) -> None:
    """Forget everything that a process knows."""
    package_repository_manager.clear_caches()
    forget_sites()
    settle_news(folder)


def settle_news(root: Path) -> None:
    """Make what was written just now an hour old, so that it counts as settled; the rest stays as it is."""
    now = time.time()
    for number, path in enumerate([*sorted(root.rglob("*"), reverse=True), root]):
        if now - path.stat().st_mtime < 600:
            os.utime(path, (now - 3600 - number / 1000,) * 2)
    wait_a_tick()


@pytest.mark.parametrize("kind", ["changed", "mirrored", "local", "parts"])
def test_what_was_composed_is_kept_for_the_next_command(
    folder: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rer_numba.rez_bridge.kept_tables.is_command", lambda: True)
    paths = [str(folder)]
    publish(paths, beside(str(folder)))
    before = generation(folder)
    if kind == "changed":
        write(folder, "base", "3", "timestamp = 6\nrequires = ['other_base']\n")
        write(folder, "other_base", "1")
    elif kind == "mirrored":
        aside = tmp_path / "aside"
        folder.rename(aside)
        shutil.copytree(aside, folder)
    else:
        second = tmp_path / "second"
        write(second, "lib", "3", "requires = ['base']\n")
        paths.insert(0, str(second))
        if kind == "parts":
            let_settle(second)
            publish([str(second)], beside(str(second)))
    for waves in (1, 0, 0):
        anew(tmp_path)
        site, result, snapshot = solve(paths, ["app"])
        assert (site.waves > 0) == (waves > 0)
        assert handles(site, snapshot, result) == rez_handles(paths, ["app"])
    assert generation(folder) == before
    write(folder, "base", "4", "requires = ['more']\n")
    write(folder, "more", "1")
    anew(tmp_path)
    assert solve(paths, ["base"])[1].resolved == [("more", "1", None), ("base", "4", None)]


def test_a_stale_family_is_all_that_is_read(folder: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    for version in range(4, 90):
        write(folder, "base", str(version))
    anew(folder)
    site, result, _ = solve([str(folder)], ["app-2"])
    assert result.resolved == [("base", "2", None), ("lib", "2", None), ("app", "2", None)]
    assert read_packages(site) == ["base-2"]


def test_a_damaged_one_is_not_used(folder: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    (beside(str(folder)) / "current").write_text("nonsense\n")
    with pytest.warns(RuntimeWarning, match="is not used"):
        site, result, _ = solve([str(folder)], ["base"])
    assert result.resolved == [("base", "3", None)] and site.waves > 0


def test_one_with_other_settings_is_not_used(folder: Path) -> None:
    publish([str(folder)], beside(str(folder)), PathSettings(check_package_definition_files=True))
    with pytest.warns(RuntimeWarning, match="other settings"):
        site, result, _ = solve([str(folder)], ["base"])
    assert result.resolved == [("base", "3", None)] and site.waves > 0


def test_a_folder_of_that_name_with_nothing_in_it(folder: Path) -> None:
    beside(str(folder)).mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert solve([str(folder)], ["base"])[1].status == "solved"


def test_many_threads(folder: Path, tmp_path: Path) -> None:
    publish([str(folder)], beside(str(folder)))
    local = tmp_path / "local"
    write(local, "lib", "3", "requires = ['mine']\n")
    write(local, "mine", "1")
    paths = [str(local), str(folder)]
    requests = [["app"], ["base"], ["other-2"], ["lib-3"], ["nothing"]] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda request: Answer.of(solve(paths, request)[1]), requests))
    for request, answer in zip(requests, found, strict=True):
        with RezOracle.at_paths(paths) as oracle:
            assert answer.tier_a() == oracle.solve(request).tier_a()
