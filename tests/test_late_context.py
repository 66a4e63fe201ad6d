"""Late functions see the same context in `Repository.solve`, in batches and on the command line as in rez."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rer_numba import Repository, SolveOptions
from rer_numba.paths.settings import PathSettings
from rer_numba.requests import parse_requests
from tests.process import run_python
from tests.rez_folders import rez_as

pytest.importorskip("rez")

import rez
from rez.config import config
from rez.package_filter import PackageFilterList
from rez.package_order import PackageOrderList, from_pod
from rez.package_repository import package_repository_manager
from rez.resolved_context import ResolvedContext
from rez.resolver import ResolverStatus

from rer_numba.rez_bridge.fallback import unsolved_context
from tests.rez_contexts import unsolved_context_of_rez

LATE = [
    "return ['lib-1'] if 'wish' in request else ['lib-2']",
    "return ['lib-' + (request.get('wish') or 'wish-1').split('-')[1]]",
    "return ['lib-2'] if 'platform' in implicits else ['lib-1']",
    "return ['lib-1'] if building else ['lib-3']",
    "return ['lib-1'] if testing else ['lib-2']",
    "return ['lib-1'] if 'feat' in ephemerals else ['lib-3']",
    "return ['lib-1'] if context.requested_timestamp else ['lib-2']",
    "return ['lib-%d' % min(3, len(context.requested_packages(True)))]",
    "return ['lib-1'] if in_context() else ['lib-2']",
    "return ['lib-1'] if intersects(request.get_range('wish', '0'), '2') else ['lib-3']",
    "return ['lib-1'] if str(context.package_filter) != '[]' else ['lib-2']",
    "return ['lib-%d' % (len(context.package_orderers) + 1)]",
    "return ['lib-2'] if system.platform else ['lib-1']",
    "return ['lib-1'] if context.package_paths[0] == context.package_paths[-1] else ['lib-3']",
    "return ['lib-1'] if context.status.name == 'pending' else ['lib-3']",
    "return [request['wish']]", "return undefined", "return ['lib-9']", "return this.tools",
    "return ['lib-1'] if this.is_variant else ['lib-2']",
]  # fmt: skip


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    with rez_as(PathSettings()):
        yield


def add(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def site_of(root: Path, rng: random.Random) -> Repository:
    for version in range(1, 4):
        add(root, f"lib/{version}/package.py", f"timestamp = {version}00\n")
        add(root, f"wish/{version}/package.py", "timestamp = 50\n")
        body = rng.choice(LATE)
        key = "build_requires" if rng.random() < 0.2 else "requires"
        variants = rng.choice(["", "variants = [['lib-1'], ['lib-2']]\n"])
        add(
            root, f"app/{version}/package.py", f"@late()\ndef {key}():\n    {body}\ntimestamp = {version}00\n{variants}"
        )
    add(root, "platform/linux/package.py", "timestamp = 1\n")
    return Repository.from_paths([root], processes=1)


def by_rez(root: Path, requests: list[str], options: dict[str, Any]) -> Any:
    """What `rez-env` would say: packages, ephemerals, or class and text of what it raises."""
    package_repository_manager.clear_caches()
    orderers = [from_pod(one) for one in options.get("package_orderers", ())]
    with rez_implicit(options.get("implicit_packages", ())):
        try:
            context = ResolvedContext(
                requests,
                package_paths=[str(root)],
                timestamp=options.get("timestamp"),
                building=options.get("building", False),
                package_filter=PackageFilterList.from_pod(options.get("package_filter", [])),
                package_orderers=PackageOrderList(orderers),
                caching=False,
            )
        except Exception as error:  # noqa: BLE001 - whatever a late function raises
            return type(error).__name__, _without_addresses(str(error))
    if context.status == ResolverStatus.solved:
        variants = [(one.name, str(one.version), one.index) for one in context.resolved_packages or ()]
        return variants, [str(one) for one in context.resolved_ephemerals or ()]
    return "failed", context.failure_description


def by_us(result: Any) -> Any:
    package_repository_manager.clear_caches()
    if result.status == "solved":
        return result.resolved, result.resolved_ephemerals
    return result.error_type or result.status, _without_addresses(str(result.failure_description))


def _without_addresses(text: str) -> str:
    """A failing function is told with where it was called, which differs."""
    return text.partition("Traceback")[0]


@contextlib.contextmanager
def rez_implicit(packages: Any) -> Iterator[None]:
    """Let rez be configured with these implicit packages, and no others."""
    config.override("implicit_packages", list(packages))
    try:
        yield
    finally:
        config.remove_override("implicit_packages")


OPTIONS: list[dict[str, Any]] = [
    {},
    {"building": True},
    {"timestamp": 250},
    {"implicit_packages": ["platform-linux", "~lib-1|2"]},
    {"package_filter": [{"excludes": ["lib-3"]}]},
    {"package_orderers": [{"type": "sorted", "descending": False, "packages": ["app"]}]},
]
REQUESTS = [
    ["app"], ["app", "wish"], ["app-1", "wish-2"], ["app-2", ".feat-1"], ["app", "wish-1", "lib<3"],
    ["app-3", "wish-2", "wish<3"], ["!wish-1", "app"], ["app", "~wish-2"],
]  # fmt: skip


@pytest.mark.parametrize("first", range(0, 12, 3))
def test_random_sites(tmp_path: Path, first: int) -> None:
    n_late = 0
    for seed in range(first, first + 3):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        repository = site_of(root, rng)
        options = {**rng.choice(OPTIONS), "rez_version": rez.__version__}
        package_repository_manager.clear_caches()
        batch = list(repository.solve_many(REQUESTS, **options))
        for number, requests in enumerate(REQUESTS):
            package_repository_manager.clear_caches()
            result = repository.solve(requests, **options)
            n_late += result.fallback_reason is not None
            expected = by_rez(root, requests, options)
            assert by_us(result) == expected, (seed, requests, options)
            assert by_us(batch[number]) == expected, (seed, requests, options)
    assert n_late > 10


@pytest.mark.each_rez
def test_the_context_is_that_of_rez(tmp_path: Path) -> None:
    """Attribute by attribute, as rez has them while it solves."""
    given = ["app-1", "wish<3", "wish-2", "!lib-2", ".feat-1"]
    order = {"type": "sorted", "descending": False, "packages": ["app"]}
    options = SolveOptions(
        timestamp=250,
        building=True,
        package_filter=[{"excludes": ["lib-3"]}],
        package_orderers=[order],
    ).checked()
    paths = [str(tmp_path), str(tmp_path / "other"), str(tmp_path)]
    ours = vars(unsolved_context(parse_requests(given), options, paths))
    theirs = vars(
        unsolved_context_of_rez(
            given,
            paths,
            timestamp=250,
            building=True,
            add_implicit_packages=False,
            package_filter=PackageFilterList.from_pod([{"excludes": ["lib-3"]}]),
            package_orderers=PackageOrderList([from_pod(order)]),
        )
    )
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if name in ("created", "caching", "package_caching"):  # the last two: nothing is cached
            continue
        assert type(ours[name]) is type(value) and str(ours[name]) == str(value), name
    assert list(map(type, ours["_package_requests"])) == list(map(type, theirs["_package_requests"]))


@pytest.mark.each_rez
def test_command_line(tmp_path: Path) -> None:
    add(tmp_path, "sw/lib/1/package.py", "")
    add(tmp_path, "sw/lib/2/package.py", "")
    add(tmp_path, "sw/wish/1/package.py", "")
    add(tmp_path, "sw/app/1/package.py", f"@late()\ndef requires():\n    {LATE[0]}\n")
    Repository.from_paths([tmp_path / "sw"]).save(tmp_path / "site.rer")
    for requests, version in ((["app"], "2"), (["app", "wish"], "1")):
        done = run_python("-m", "rer_numba", "solve", "-r", tmp_path / "site.rer", *requests, "--json")
        found = {one["name"]: one["version"] for one in json.loads(done.stdout)["resolved_packages"]}
        assert found["lib"] == version, done.stdout


def test_requirement_objects(tmp_path: Path) -> None:
    """What was handed in as objects, late functions see as rez shows it; also what rez refuses as a text."""
    from rez.version import Requirement

    add(tmp_path, "lib/1/package.py", "")
    add(tmp_path, "app/1/package.py", "@late()\ndef requires():\n    return ['lib-1'] if 'app' in request else []\n")
    repository = Repository.from_paths([tmp_path])
    result = repository.solve([Requirement("app"), Requirement("~.feat-1")])
    assert (result.status, result.resolved) == ("solved", [("lib", "1", None), ("app", "1", None)])
    (again,) = repository.solve_many([[Requirement("app")]])
    assert again.resolved == result.resolved
