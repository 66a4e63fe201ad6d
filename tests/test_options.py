"""Solve options: JSON, what a file stores of them, and what counts when they are given twice."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rez.package_filter
import rez.package_order

from rer_numba import PackageData, Repository, SolveOptions
from rer_numba.errors import ConfigurationError, RepositoryCorruptError
from rer_numba.filters import PackageFilter, PackageFilterList
from rer_numba.filters.rules import Rule, TimestampRule
from rer_numba.orderers import PerFamilyOrder, SortedOrder

PACKAGES = [PackageData("app", version, timestamp=time) for version, time in (("1", 10), ("2", 20), ("3.beta", 30))]
OPTIONS = SolveOptions(
    variant_select_mode="intersection_priority",
    package_orderers=[
        {"type": "sorted", "descending": False, "packages": ["lib"]},
        {"type": "soft_timestamp", "timestamp": 15, "rank": 2},
        {"type": "per_family", "orderers": [{"type": "version_split", "first_version": "2", "packages": ["a", "b"]}]},
        {"type": "no_order", "packages": ["c"]},
    ],
    package_filter=[
        {"excludes": ["*.beta", "after(app:25)", "regex(.*-9$)"], "includes": ["lib-1"]},
        {"excludes": "x"},
    ],
    timestamp=99,
    building=True,
    error_on_missing_variant_requires=False,
    rez_version="3.3.0",
    allow_unversioned_packages=False,
    implicit_packages=("~os==linux",),
)


class OneFirst:
    """An orderer of the user's own."""

    def sort_key(self, package_name: str, version_like: Any) -> int:
        return 0


class NoApps:
    """A filter of the user's own."""

    def excludes(self, package: Any) -> bool:
        return package.name == "app"


class NoBetas(Rule):
    """A rule of the user's own."""

    def match(self, package: Any) -> bool:
        return "beta" in str(package.version)


def with_rule(rule: Any) -> PackageFilter:
    made = PackageFilter()
    made.add_exclusion(rule)
    return made


def versions(repository: Repository, *arguments: Any, **options: Any) -> list[str]:
    return [version for _, version, _ in repository.solve(["app"], *arguments, **options).resolved]


# ----------------------------------------------------------------------------------------------------------------- JSON
def test_json_says_everything() -> None:
    text = OPTIONS.to_json()
    again = SolveOptions.from_json(text)
    assert again.to_json() == text
    for name in set(SolveOptions.names()) - {"package_orderers", "package_filter"}:
        assert getattr(again, name) == getattr(OPTIONS, name) != getattr(SolveOptions(), name), name
    assert SolveOptions.from_json("{}") == SolveOptions.from_json(SolveOptions().to_json()) == SolveOptions()


def test_objects_become_json() -> None:
    order = rez.package_order.PerFamilyOrder({"a": rez.package_order.SortedOrder(False)})
    hides = rez.package_filter.PackageFilterList.from_pod([{"excludes": ["*.beta"]}])
    pod = SolveOptions(package_orderers=[order], package_filter=hides).to_pod()
    assert pod["package_filter"] == [{"excludes": ["glob(*.beta)"]}]
    assert pod["package_orderers"][0]["orderers"] == [{"type": "sorted", "descending": False, "packages": ["a"]}]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "[]"),
        ('{"package_filters": []}', "'package_filters'"),
        ('{"variant_select_mode": "best"}', "'best'"),
        ('{"building": 1}', "building must be True or False, not 1"),
        ('{"timestamp": "-1w"}', "'-1w'"),
        ('{"timestamp": 1.5}', "1.5"),
        ('{"timestamp": NaN}', "nan"),
        ('{"implicit_packages": "maya"}', "'maya'"),
        ('{"implicit_packages": null}', "None"),
        ('{"implicit_packages": [5]}', "5"),
        ('{"implicit_packages": ["maya-<"]}', "'maya-<'"),
        ('{"package_orderers": [{"type": "best"}]}', "'best'"),
        ('{"package_orderers": [{"type": "version_split", "first_version": "1..2"}]}', "1..2"),
        ('{"package_filter": [{"excludes": ["foo(x)"]}]}', "'foo'"),
        ('{"package_filter": {"exclude": ["x"]}}', "'exclude'"),
        ('{"package_filter": [{"excludes": ["y"]}, {"exclude": ["x"]}]}', "'exclude'"),
        ('{"package_filter": "*.beta"}', "'*.beta'"),
    ],
)
def test_json_that_cannot_be_used(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SolveOptions.from_json(text, "site.json")
    assert str(caught.value).startswith("site.json: ") and named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"package_orderers": [OneFirst()]}, "OneFirst"),
        ({"package_orderers": [PerFamilyOrder({"a": OneFirst()})]}, "OneFirst"),
        ({"package_orderers": [PerFamilyOrder({"a": SortedOrder(False)}, packages=["b"])]}, "PerFamilyOrder"),
        ({"package_filter": NoApps()}, "NoApps"),
        ({"package_filter": [{"excludes": ["a"]}, NoApps()]}, "NoApps"),
        ({"package_filter": with_rule(NoBetas())}, "NoBetas"),
        ({"package_filter": with_rule(TimestampRule.after(5, ""))}, "after(5)"),
        ({"package_filter": with_rule(TimestampRule.after(5.5))}, "after(5.5)"),
        ({"package_filter": {"excludes": ["after(:5)"]}}, "after(5)"),
    ],
)
def test_what_cannot_be_stored(options: dict[str, Any], named: str, tmp_path: Path) -> None:
    """It can be used, and saving says what is wrong, and writes nothing."""
    repository = Repository.from_packages(PACKAGES, options=SolveOptions(**options))
    repository.solve(["app"])
    with pytest.raises(ConfigurationError, match="cannot be stored") as caught:
        repository.save(tmp_path / "site.rer")
    assert named in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------------- stored
def test_a_file_stores_them(tmp_path: Path) -> None:
    repository = Repository.from_packages(PACKAGES, options=OPTIONS)
    repository.save(tmp_path / "site.rer")
    opened = Repository.open(tmp_path / "site.rer")
    assert opened.options.to_json() == OPTIONS.to_json()
    assert opened.fingerprint == repository.fingerprint
    # they may be changed, and taken away again
    opened.options = replace(opened.options, timestamp=5)
    opened.save(tmp_path / "other.rer")
    assert Repository.open(tmp_path / "other.rer").options.timestamp == 5
    opened.options = SolveOptions()
    opened.save(tmp_path / "other.rer")
    assert Repository.open(tmp_path / "other.rer").options == SolveOptions()


def test_overrides_win(tmp_path: Path) -> None:
    options = SolveOptions(package_filter={"excludes": ["*.beta"]}, timestamp=25)
    Repository.from_packages(PACKAGES, options=options).save(tmp_path / "site.rer")
    opened = Repository.open(tmp_path / "site.rer")
    assert versions(opened) == ["2"]
    assert versions(opened, timestamp=15) == ["1"]
    assert versions(opened, package_filter=None) == ["2"]
    assert versions(opened, package_filter=None, timestamp=None) == ["3.beta"]
    assert versions(opened, SolveOptions()) == ["3.beta"]
    assert versions(opened, SolveOptions(timestamp=15), timestamp=25) == ["2"]
    assert [versions(opened, package_orderers=[SortedOrder(descending)]) for descending in (0, 1)] == [["1"], ["2"]]
    assert [result.resolved[0][1] for result in opened.solve_many([["app"]] * 2, timestamp=15)] == ["1", "1"]


def test_a_copy_in_another_process_has_them(tmp_path: Path) -> None:
    repository = Repository.from_packages(PACKAGES)
    repository.save(tmp_path / "site.rer")
    repository.options = SolveOptions(package_filter=PackageFilterList.from_pod([{"excludes": ["*.beta"]}]))
    copy = pickle.loads(pickle.dumps(repository))
    assert versions(copy) == versions(repository) == ["2"]


def test_stored_options_that_cannot_be_used(tmp_path: Path) -> None:
    """The text names setting and file."""
    repository = Repository.from_packages(PACKAGES)
    for stored, named in (({"moon_phase": 3}, "'moon_phase'"), ({"timestamp": "noon"}, "'noon'")):
        repository.options = SolveOptions(timestamp=1)
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr(SolveOptions, "to_json", lambda self, stored=stored: json.dumps(stored))
            repository.save(tmp_path / "site.rer")
        with pytest.raises(RepositoryCorruptError) as caught:
            Repository.open(tmp_path / "site.rer")
        assert str(tmp_path / "site.rer") in str(caught.value) and named in str(caught.value)


def test_bad_options_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="'best'"):
        Repository.from_packages(PACKAGES, options=SolveOptions(package_orderers=[{"type": "best"}]))
    with pytest.raises(ValueError, match="'best'"):
        Repository.from_packages(PACKAGES, options=SolveOptions(variant_select_mode="best"))


# ----------------------------------------------------------------------------------------------------------- one by one
def test_implicit_packages_join_the_request() -> None:
    packages = [PackageData("app", "1", variants=[["os-a"], ["os-b"]]), PackageData("os", "a"), PackageData("os", "b")]
    repository = Repository.from_packages(packages)
    for name in ("a", "b"):
        assert repository.solve(["app"], implicit_packages=[f"~os=={name}"]).resolved[0] == ("os", name, None)
    assert repository.solve(["app"], implicit_packages=["!os"]).status == "failed"
    assert repository.solve(["app"], implicit_packages=["os-b"]).resolved == repository.solve(["app", "os-b"]).resolved


def test_unversioned_packages_can_be_left_out() -> None:
    repository = Repository.from_packages([PackageData("app", ""), PackageData("both", "1"), PackageData("both", "")])
    assert repository.solve(["app"]).resolved == [("app", "", None)]
    assert repository.solve(["app"], allow_unversioned_packages=False).error_type == "PackageFamilyNotFoundError"
    assert repository.solve(["both"], allow_unversioned_packages=False).resolved == [("both", "1", None)]
    assert repository.solve(["both-2"], allow_unversioned_packages=False).error_type == "PackageNotFoundError"
