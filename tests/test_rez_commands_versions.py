"""`rez-env`, hooked and not, with the rez at hand: orderers, filters, times; published by one rez, solved by another.

``pytest tests/test_rez_commands_versions.py --other-rez=FOLDER`` publishes with the rez that lies in FOLDER, where
``pip install --no-deps --target FOLDER rez==3.0.0`` has put it, and solves with the one that is imported here; and the
other way round. Without the option these tests are skipped. ``.ci/under_rez`` gives it, for each rez that we know.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rer_numba.orderers import OrderMeaning
from rer_numba.rez_bridge.loaded import loaded_traits
from rer_numba.rez_versions import order_meaning
from tests.conftest import Tally
from tests.process import ROOT
from tests.rez_commands import HOOK, REZ, WITH_SOURCES, Studio, version_of, write_packages
from tests.test_rez_commands import OURS, RAISE, REQUESTS, REZ_PACKAGES, saved, told, without_times
from tests.test_rez_versions import REVERSED, SPLIT

pytestmark = pytest.mark.each_rez

PACKAGES = {
    **{f"{name}-{version}": f"timestamp = {version}000" for name in "ab" for version in (1, 2)},
    "rig-1": "variants = [['a'], ['b']]",
    "python-3.10.13": "timestamp = 1000",
    "python-3.11.7": "timestamp = 1200",
    "tool-1": "variants = [['python-3.10'], ['python-3.11']]",
    "odd-1": "timestamp = 3000",
    "odd-2": "timestamp = 1000",
    "odd-3": "timestamp = 2000",
    "late-1": "@late()\ndef requires():\n    return ['a', 'python-3.10']",
    "build-1": "build_requires = ['odd<3']",
}


class Setting(NamedTuple):
    """What a studio configures, and which requests it makes."""

    lines: str
    requests: tuple[str, ...]


ORDERERS = "package_orderers = {!r}\n"
SETTINGS = {
    "reversed": Setting(ORDERERS.format(REVERSED[0]), ("rig", "a b", "rig !a-1", "a-3")),
    "split": Setting(ORDERERS.format(SPLIT[0]), ("tool", "tool !python-3.10", "late", "build -b")),
    "in time": Setting(
        ORDERERS.format([{"type": "soft_timestamp", "timestamp": 1500, "packages": ["a", "b"]}]),
        ("rig", "a", "rig -t 1200", "late"),
    ),
    "out of time": Setting(ORDERERS.format([{"type": "soft_timestamp", "timestamp": 1500}]), ("odd", "odd !odd-2")),
    "filter": Setting(
        "package_filter = {'excludes': ['a-2', 'after(2500)'], 'includes': ['glob(python-*)']}\n",
        ("rig", "a", "odd", "a-2", "tool --exclude python-3.11.7", "a --no-filters"),
    ),
}
CASES = [(name, request) for name, setting in SETTINGS.items() for request in setting.requests]


def meaning() -> OrderMeaning:
    traits = loaded_traits()
    assert traits is not None
    return traits.orders


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packages(tmp_path_factory.mktemp("packages"), PACKAGES)


@pytest.fixture(scope="module")
def studios(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> dict[str, tuple[Studio, Studio]]:
    """Plain and hooked, for each setting."""
    folder = tmp_path_factory.mktemp("studios")
    return {
        name: (
            Studio(folder / f"{name}, plain", [packages], setting.lines),
            Studio(folder / f"{name}, hooked", [packages], WITH_SOURCES + HOOK + "\n" + setting.lines),
        )
        for name, setting in SETTINGS.items()
    }


OUR_FRAMES = re.compile(r'(  File ".*rez_bridge.(hook|solver|handing_over)\.py", line \d+, in \w+\n(    .*\n)+){3}')
"""Of a package that rez has to run, and that ends the solve before its first step."""


def without_ours(text: str) -> str:
    return OUR_FRAMES.sub("", text)


def compare(studios: tuple[Studio, Studio], request: str, name: str = "one") -> dict[str, Any]:
    """Run both, which must do the same; gives what is counted, and what is resolved."""
    for studio in studios:
        (studio.folder / f"{name}.rxt").unlink(missing_ok=True)
    plain, hooked = (studio.rez("rez-env", *request.split(), "-o", f"{name}.rxt") for studio in studios)
    assert (*told(hooked, studios[1])[:2], without_ours(told(hooked, studios[1])[2])) == told(plain, studios[0])
    expected, found = (without_times(saved(studio, name)) for studio in studios)
    assert found == expected
    handles = (found or {}).get("resolved_packages") or ()
    resolved = [(one["variables"]["name"], one["variables"]["version"]) for one in handles]
    assert hooked.facts["native"] + hooked.facts["fallback"] == 1, hooked.facts
    return {**hooked.facts, "resolved": resolved}


@pytest.mark.parametrize(("setting", "request_"), CASES)
def test_settings(studios: dict[str, tuple[Studio, Studio]], setting: str, request_: str, tally: Tally) -> None:
    """Text, exit code and saved context; native, but for an order that only rez can follow."""
    found = compare(studios[setting], request_)
    by_rez = setting == "out of time" and meaning() is OrderMeaning.LISTS
    assert found["fallback"] == by_rez, found
    assert not by_rez or list(found["reasons"]) == [
        "a soft_timestamp orderer gives odd an order that depends on which versions are left"
    ]
    tally.add("rez-env with settings", found["native"], found["reasons"])


@pytest.mark.parametrize(
    ("setting", "request_", "expected"),
    [
        ("reversed", "rig", {OrderMeaning.KEYS: ("a", "1"), None: ("b", "1")}),
        ("split", "tool", {OrderMeaning.LISTS: ("python", "3.11.7"), None: ("python", "3.10.13")}),
    ],
)
def test_orderers_mean_what_they_mean_in_this_rez(
    studios: dict[str, tuple[Studio, Studio]], setting: str, request_: str, expected: Any
) -> None:
    assert compare(studios[setting], request_)["resolved"][0] == expected.get(meaning(), expected[None])


# -------------------------------------------------------------------------------------------- published by another rez
FILES = {
    "yam/1/package.yaml": "name: yam\nversion: '1'\nrequires: [base-1]\n",
    "bad_yam/1/package.yaml": "name: bad_yam\nversion: '1'\nrequires: 7\n",
    "both.yaml": "name: both\nversions: ['1', '2']\nversion_overrides:\n  '2':\n    requires: [base-2]\n",
    "own/1/package.py": "import os\nname = 'own'\nversion = '1'\nrequires = [os.environ.get('NO_SUCH', 'base-1')]\n",
    "testy/1/package.py": (
        "name = 'testy'\nversion = '1'\n@early()\ndef requires():\n    return ['base-2'] if testing else ['base-1']\n"
    ),
    "noted/1/package.py": "name = 'noted'\nversion = '1'\ndef helper(x: undefined):\n    pass\n",
    "late_build/1/package.py": (
        "name = 'late_build'\nversion = '1'\n@late()\ndef build_requires():\n    return ['base-1']\n"
    ),
}
"""Of kinds that rez reads while they are published, or later."""

WANTED = {
    **{case: REQUESTS[case] for case in (
        "solves", "of two paths", "build", "before a time", "fails", "cycle", "missing family", "broken package",
        "contradicts its requirements", "bad requirement", "late function", "late function that fails",
    )},
    "YAML that is wrong": "bad_yam",
    "combined": "both-1 yam",
    "asks its process": "own lib",
    "asks whether it is tested": "testy",  # which rez knows since 3.2
    "asks an annotation": "noted",  # which rez does before 3.4
    "late build_requires": "late_build -b",  # which raise before rez 3.4
}  # fmt: skip
MAY_RAISE = {"asks whether it is tested", "asks an annotation", "late build_requires"}
CASES_OF_TWO = [("solved here", case) for case in WANTED] + [
    ("solved there", case) for case in WANTED if case in ("of two paths", "fails") or case not in REQUESTS
]


class Pair(NamedTuple):
    """Where the rez lies that publishes, and the one that solves."""

    publishes: Path
    solves: Path


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> Pair:
    other = request.config.getoption("other_rez")
    if other is None:
        pytest.skip("where another rez lies is not given: --other-rez FOLDER")
    if version_of(other) == version_of(REZ):
        pytest.skip(f"--other-rez is rez {version_of(REZ)}, as the one that is imported here")
    here = Pair(other.resolve(), REZ)
    return here if request.param == "solved here" else Pair(here.solves, here.publishes)


def our_command(studio: Studio, *arguments: str) -> str:
    """Run rer-numba as the rez of a studio."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    variables = {"PYTHONPATH": str(ROOT), "PATH": path}
    done = studio.run("-m", "rer_numba", *arguments, variables=variables)
    assert done.code == 0, done
    return done.out


def publish(pair: Pair, folder: Path, packages: Path, lines: str = "") -> dict[str, Any]:
    """Encode a package path into its folder `.rer`."""
    publisher = Studio(folder / "publisher", [packages], lines, rez=pair.publishes)
    told: dict[str, Any] = json.loads(
        our_command(publisher, "encode", "--from-rez", str(packages), "-o", f"{packages / '.rer'}/", "--json")
    )
    return told


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> tuple[Studio, Studio]:
    """Plain and hooked, with the one rez, on packages that the other one has published."""
    folder = tmp_path_factory.mktemp("published")
    packages = write_packages(folder / "packages", OURS)
    for name, text in FILES.items():
        file = packages / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert publish(pair, folder, packages)["families_for_rez"] > 1
    paths = [packages, REZ_PACKAGES]
    plain = Studio(folder / "plain", paths, rez=pair.solves)
    return plain, Studio(folder / "hooked", paths, WITH_SOURCES + HOOK, rez=pair.solves)


@pytest.mark.parametrize("pair", ["solved here", "solved there"], indirect=True)
def test_it_is_used(published: tuple[Studio, Studio]) -> None:
    """Nothing has changed for the rez that solves."""
    one, _ = json.loads(our_command(published[1], "rez", "status", "--json"))["repositories"]
    assert one["changed"] == 0 and Path(one["file"]).parent.name == ".rer"


@pytest.mark.parametrize(("pair", "case"), CASES_OF_TWO, indirect=["pair"])
def test_published_by_another_rez(published: tuple[Studio, Studio], case: str, tally: Tally) -> None:
    found = compare(published, WANTED[case], case)
    tally.add("rez-env, published by another rez", found["native"], found["reasons"])
    raises = saved(published[0], case) is None
    assert case in MAY_RAISE or raises == (case in RAISE or case == "YAML that is wrong")
    assert found["fallback"] == (raises and case.startswith(("late", "asks whether"))), found


@pytest.mark.parametrize("pair", ["solved here", "solved there"], indirect=True)
@pytest.mark.parametrize(
    ("case", "request_", "kind", "names"),
    [
        (REVERSED, "rig", OrderMeaning.KEYS, (("a", "1"), ("b", "1"))),
        (SPLIT, "tool", OrderMeaning.LISTS, (("python", "3.11.7"), ("python", "3.10.13"))),
    ],
    ids=["reversed", "split"],
)
def test_stored_orderers_mean_what_they_meant(
    tmp_path: Path, pair: Pair, case: Any, request_: str, kind: OrderMeaning, names: Any
) -> None:
    """A repository solves as the rez does that it was encoded with, whatever rez is there."""
    packages = write_packages(tmp_path / "packages", PACKAGES)
    publish(pair, tmp_path, packages, ORDERERS.format(case[0]))
    solver = Studio(tmp_path / "solver", [packages], rez=pair.solves)
    found = json.loads(our_command(solver, "solve", "-r", str(packages / ".rer"), "--json", request_))
    expected = names[0] if order_meaning(version_of(pair.publishes)) is kind else names[1]
    first = found["resolved_packages"][0]
    assert (first["name"], first["version"]) == expected
