"""What rez's versions differ in, without those versions: traits, and what orderers mean in each.

With another rez installed the whole comparison with rez applies to that one; ``.ci/run`` does it for several.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rer_numba import PackageData, Repository, SolveOptions, rez_versions
from rer_numba.errors import ConfigurationError
from rer_numba.orderers import OrderMeaning, as_package_orderers
from rer_numba.orderers.lists import CompiledListOrders
from rer_numba.reader import Reader
from rer_numba.rez_versions import order_meaning, traits_of
from rer_numba.version_order import Version

REVERSED = (
    [{"type": "sorted", "descending": False, "packages": ["a"]},
     {"type": "version_split", "first_version": "1", "packages": ["b"]}],
    [PackageData(name, version) for name in "ab" for version in "12"]
    + [PackageData("rig", "1", variants=[["a"], ["b"]])],
)  # fmt: skip
SPLIT = (
    [{"type": "per_family", "orderers": [
        {"packages": ["python"], "type": "version_split", "first_version": "3.10.99"}]}],
    [PackageData("python", version) for version in ("3.10.13", "3.11.7")]
    + [PackageData("rig", "1", variants=[["python-3.10"], ["python-3.11"]])],
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- traits
@pytest.mark.parametrize(
    ("version", "meaning"),
    [
        ("2.114.0", OrderMeaning.LISTS),
        ("2.114.1", OrderMeaning.LISTS),
        ("3.0.0", OrderMeaning.LISTS),
        ("3.1.0", OrderMeaning.RAISING_KEYS),
        ("3.3.0", OrderMeaning.RAISING_KEYS),
        ("3.4.0", OrderMeaning.KEYS),
        (None, OrderMeaning.KEYS),
    ],
)
def test_what_is_known(version: str | None, meaning: OrderMeaning) -> None:
    traits = traits_of(version)
    assert traits is not None and traits.orders is order_meaning(version) is meaning
    assert order_meaning(rez_versions.version_with(meaning)) is meaning


@pytest.mark.parametrize("version", ["2.113.0", "2.9", "1", "3.4.1", "3.5.0", "4.0", "none", ""])
def test_what_is_not_known(version: str) -> None:
    assert traits_of(version) is None


def copy_of_rez(folder: Path) -> Path:
    """The files of the installed rez that decide about a solve."""
    rez = pytest.importorskip("rez")
    for name in rez_versions._DECIDING:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(rez.__file__).parent / name, folder / name)
    return folder


@pytest.mark.each_rez
def test_a_later_version_is_known_by_its_files(tmp_path: Path) -> None:
    rez = pytest.importorskip("rez")
    folder = copy_of_rez(tmp_path)
    is_new = rez_versions.sources_checksum(str(folder)) in rez_versions._KNOWN_SOURCES
    assert traits_of("9.9.9", str(folder)) == (traits_of(rez.__version__) if is_new else None)
    if not is_new:  # no later version can be like this one
        return
    solver = folder / "solver.py"
    solver.write_bytes(solver.read_bytes().replace(b"\n", b"\r\n"))
    traits_of.cache_clear()
    assert traits_of("9.9.9", str(folder)) is not None, "the same with Windows' line ends"
    solver.write_bytes(solver.read_bytes() + b"#")
    traits_of.cache_clear()
    assert traits_of("9.9.9", str(folder)) is None
    solver.unlink()
    traits_of.cache_clear()
    assert traits_of("9.9.9", str(folder)) is None


# ----------------------------------------------------------------------------------------------------------- orderers
@pytest.mark.parametrize(
    ("case", "version", "expected"),
    [
        (REVERSED, "3.4.0", [("a", "1"), ("rig", "1")]),
        (REVERSED, "3.3.0", [("b", "1"), ("rig", "1")]),
        (REVERSED, "3.1.0", [("b", "1"), ("rig", "1")]),
        (SPLIT, "3.4.0", [("python", "3.10.13"), ("rig", "1")]),
        (SPLIT, "3.1.0", [("python", "3.10.13"), ("rig", "1")]),
        (SPLIT, "3.0.0", [("python", "3.11.7"), ("rig", "1")]),
        (SPLIT, "2.114.1", [("python", "3.11.7"), ("rig", "1")]),
    ],
)
def test_answers_that_differ_between_versions(case: Any, version: str, expected: list[tuple[str, str]]) -> None:
    """As those versions of rez answer (2026-11)."""
    orderers, packages = case
    repository = Repository.from_packages(packages)
    for options in ({"rez_version": version}, {}):
        found = repository.solve(["rig"], package_orderers=orderers, **options)
        if options or order_meaning(version) is OrderMeaning.KEYS:
            assert [(name, number) for name, number, _ in found.resolved] == expected
    batch = repository.solve_many([["rig"]], package_orderers=orderers, rez_version=version)
    assert [(name, number) for name, number, _ in batch[0].resolved] == expected


def test_one_repository_answers_as_several() -> None:
    """Policies of one repository are told apart by it."""
    orderers, packages = REVERSED
    repository = Repository.from_packages(packages)
    for version, family in [("3.4.0", "a"), ("3.3.0", "b"), ("3.4.0", "a"), ("3.0.0", "b"), (None, "a")]:
        found = repository.solve(["rig"], package_orderers=orderers, rez_version=version)
        assert found.resolved[0][0] == family


def test_what_is_stored_says_which_rez(tmp_path: Path) -> None:
    orderers, packages = REVERSED
    options = SolveOptions(package_orderers=orderers, rez_version="3.3.0")
    Repository.from_packages(packages, options=options).save(tmp_path / "a.rer")
    again = Repository.open(tmp_path / "a.rer")
    assert again.options.rez_version == "3.3.0"
    assert again.solve(["rig"]).resolved[0][0] == "b"
    assert SolveOptions.from_json(options.to_json()).rez_version == "3.3.0"


@pytest.mark.each_rez
def test_objects_of_rez_mean_what_their_rez_means(monkeypatch: pytest.MonkeyPatch) -> None:
    rez = pytest.importorskip("rez")
    from rez.package_order import SortedOrder

    monkeypatch.setattr(rez, "__version__", "3.3.0")
    orderers = as_package_orderers([SortedOrder(descending=False)])
    assert orderers is not None and orderers.meaning is OrderMeaning.RAISING_KEYS
    stored = json.loads(SolveOptions(package_orderers=[SortedOrder(descending=False)]).to_json())
    assert stored["rez_version"] == "3.1"
    monkeypatch.setattr(rez, "__version__", "3.0.0")
    orderers = as_package_orderers([SortedOrder(descending=False)])
    assert orderers is not None and orderers.meaning is OrderMeaning.LISTS


@pytest.mark.parametrize("version", ["2.113.0", "3.9.0", "new", 3.3])
def test_versions_that_mean_nothing(version: Any) -> None:
    with pytest.raises(ConfigurationError, match="rez_version"):
        SolveOptions(rez_version=version).checked()


class ListOrder:
    """An orderer of somebody's own, as rez had them up to 3.0."""

    def reorder(self, iterable: Any, key: Any = None) -> Any:
        """See rez."""
        return list(iterable)

    def to_pod(self) -> dict[str, Any]:
        """See rez."""
        return {}


def test_own_classes_cannot_be_asked_for_lists() -> None:
    for given in (ListOrder(), [ListOrder()]):
        with pytest.raises(ConfigurationError, match=r"only rez can ask it"):
            as_package_orderers(given, "3.0.0")


# ----------------------------------------------------------------------------------------------------- lists, up to 3.0
class Release(NamedTuple):
    """A version and when it was released."""

    version: Version
    time: int | None


def reordered(orders: Sequence[dict[str, Any]], family: str, releases: Sequence[Release]) -> list[Release]:
    """What rez up to 3.0 makes of a list: of the first orderer that gives one, else the newest first."""
    newest = sorted(releases, key=lambda one: one.version, reverse=True)
    for order in orders:
        found = _reordered_by(order, family, newest)
        if found is not None:
            return found
    return newest


def _reordered_by(order: dict[str, Any], family: str, newest: list[Release]) -> list[Release] | None:
    match order["type"]:
        case "sorted":
            return newest if order["descending"] else newest[::-1]
        case "version_split":
            split = Version(order["first_version"])
            return sorted(newest, key=lambda one: one.version > split)
        case "per_family":
            inner = next((one for one in order["orderers"] if family in one["packages"]), order.get("default_order"))
            return None if inner is None else _reordered_by(inner, family, newest)
    return _by_time(order["timestamp"], order["rank"], newest)


def _by_time(limit: int, rank: int, newest: list[Release]) -> list[Release] | None:
    """The order of soft_timestamp."""
    n_late = 0
    for place, one in enumerate(newest):
        if one.time and one.time <= limit:
            break
        if one.time:
            n_late = place + 1
    if not n_late:
        return None
    late, in_time = newest[:n_late][::-1], newest[n_late:]
    if not rank:
        return in_time + late
    start = [one.version.trim(rank - 1) for one in late]
    if in_time:
        first = in_time[0].version.trim(rank - 1)
        n_alike = next((place for place, one in enumerate(start) if one != first), len(late))
        in_time = late[:n_alike][::-1] + in_time
        late, start = late[n_alike:], start[n_alike:]
    groups: list[list[Release]] = []
    for place, one in enumerate(late):
        if not place or start[place] != start[place - 1]:
            groups.append([])
        groups[-1].insert(0, one)
    return in_time + [one for group in groups for one in group]


def _random_order(rng: random.Random, versions: Sequence[str]) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.6:
        return {"type": "soft_timestamp", "timestamp": rng.randint(0, 15), "rank": rng.choice((0, 0, 1, 2, 3))}
    if kind < 0.8:
        return {"type": "sorted", "descending": rng.random() < 0.5}
    return {"type": "version_split", "first_version": rng.choice(versions)}


def _random_orders(rng: random.Random, versions: Sequence[str]) -> Iterator[dict[str, Any]]:
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.6:
            yield _random_order(rng, versions)
            continue
        inner = {**_random_order(rng, versions), "packages": [rng.choice("ab")]}
        default = {"default_order": _random_order(rng, versions)} if rng.random() < 0.4 else {}
        yield {"type": "per_family", "orderers": [inner], **default}


def _random_releases(rng: random.Random) -> list[Release]:
    """The oldest first; mostly released in this order."""
    texts = {f"{rng.randint(0, 3)}.{rng.randint(0, 3)}" + rng.choice(("", "", ".1")) for _ in range(rng.randint(1, 8))}
    odd = rng.random() < 0.2
    time, found = 0, []
    for version in sorted(map(Version, texts)):
        time += rng.randint(0, 3)
        is_odd = odd and rng.random() < 0.4
        found.append(Release(version, rng.choice((None, 0, rng.randint(1, 20))) if is_odd else time + 1))
    return found


def test_any_part_of_a_family_is_in_the_order_of_all() -> None:
    """What cannot be said for all parts is refused; the rest is as rez puts it in order, whatever is left."""
    n_refused = 0
    for seed in range(1500):
        rng = random.Random(f"lists-{seed}")
        releases = _random_releases(rng)
        orders = list(_random_orders(rng, [str(one.version) for one in releases]))
        views = Repository.from_packages(
            [PackageData("a", str(one.version), timestamp=one.time) for one in releases]
        ).views
        reader = Reader(views)
        given = as_package_orderers(orders, "3.0.0")
        assert given is not None
        try:
            places = CompiledListOrders(given, views, reader).package_places(reader.family("a"))
        except ConfigurationError:
            n_refused += 1
            continue
        newest = releases[::-1]
        ordered = newest if places is None else [one for _, one in sorted(zip(places, newest, strict=True))]
        for _ in range(8):
            left = [one for one in releases if rng.random() < 0.6]
            expected = reordered(orders, "a", left)
            assert [one for one in ordered if one in left] == expected, (seed, orders, releases, left)
    assert 0 < n_refused < 300


def test_what_depends_on_what_is_left_is_an_error_that_says_so() -> None:
    packages = [PackageData("a", "1", timestamp=10), PackageData("a", "2"), PackageData("a", "3", timestamp=30)]
    repository = Repository.from_packages([*packages, PackageData("b", "1")])
    options = {"package_orderers": [{"type": "soft_timestamp", "timestamp": 20}], "rez_version": "3.0.0"}
    with pytest.raises(ConfigurationError, match=r"gives a depends on which versions are left"):
        repository.solve(["a"], **options)
    assert repository.solve(["b"], **options).status == "solved"
    batch = repository.solve_many([["b"], ["a"], ["b"]], **options)
    assert [one.status for one in batch] == ["solved", "error", "solved"]
    assert batch[1].error_type == "UncertainOrderError"


# ---------------------------------------------------------------------------------------------------------- behind rez
def test_an_unknown_rez_solves_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    rez = pytest.importorskip("rez")
    from rer_numba import tell
    from rer_numba.rez_bridge import hook

    monkeypatch.setattr(rez, "__version__", "3.99.0")
    monkeypatch.setattr(rez, "__file__", os.path.join(os.path.dirname(sys.executable), "none", "__init__.py"))
    told: list[str] = []
    for module in (tell, hook):
        monkeypatch.setattr(module, "warn_once", lambda text, about=None: told.append(text))
    traits_of.cache_clear()
    assert not hook.install() and not hook.is_hooked()
    assert len(told) == 1 and told[0].startswith("rez 3.99.0 is not one of 2.114 to 3.4.0")
    assert "rez solves alone" in told[0]
