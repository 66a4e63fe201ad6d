"""Late functions, and packages that ask their process, behind rez: rez's answers, solved natively."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rez.package_repository import package_repository_manager
from rez.resolved_context import ResolvedContext

from rer_numba import rez_bridge
from rer_numba.partial import Partial
from rer_numba.paths.settings import PathSettings
from rer_numba.requests import Lookup
from rer_numba.rez_bridge.sites import forget_sites
from rer_numba.rez_bridge.stats import reset
from tests.random_tree import let_settle
from tests.rez_folders import rez_as
from tests.test_bridge_sites import beside, publish, write

FAMILIES = ("app", "base", "lib", "tool", "show")
LATE = """@late()
def requires():
    if not in_context():
        return []
    if "{other}" in request and "{other}-2" in str(request["{other}"]):
        return {some}
    if building:
        return {some} + {more}
    return {more}
"""
PROCESS = "import os\nrequires = {some} if os.environ.get('RER_TEST_SHOW') == '1' else {more}\n"
RAISES = "@late()\ndef requires():\n    raise ValueError('no such show')\n"
CONFLICTS = "@late()\ndef requires():\n    return ['base-1', 'base-2']\n"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RER_TEST_SHOW", "1")
    forget()
    yield
    forget()


def forget() -> None:
    package_repository_manager.clear_caches()
    forget_sites()
    reset()


def requirements(rng: random.Random, name: str) -> list[str]:
    others = [other for other in FAMILIES if other != name]
    return [f"{other}-{rng.randint(1, 3)}" for other in rng.sample(others, rng.randint(0, 2))]


def definition(rng: random.Random, name: str) -> str:
    some, more = requirements(rng, name), requirements(rng, name)
    other = rng.choice([one for one in FAMILIES if one != name])
    kind = rng.choices((LATE, PROCESS, RAISES, CONFLICTS, "requires = {some}\n"), weights=(4, 4, 0.3, 0.3, 6))[0]
    text = kind.replace("{some}", repr(some)).replace("{more}", repr(more)).replace("{other}", other)
    if rng.random() < 0.3:
        text += f"variants = {[[one] for one in requirements(rng, name)]!r}\n"
    return text + f"timestamp = {rng.randint(1, 9)}\n"


def make_packages(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for name in FAMILIES:
        for version in range(1, rng.randint(2, 4)):
            write(path, name, str(version), definition(rng, name))
    let_settle(path)


def answer(path: Path, request: Sequence[str], **options: Any) -> tuple[Any, ...]:
    try:
        context = ResolvedContext(list(request), package_paths=[str(path)], caching=False, **options)
    except Exception as error:  # noqa: BLE001 - whatever rez raises is the answer
        # of several versions that raise, rez complains of the first in the order of a set
        kinds = ("no such show", "has an internal requirements conflict")
        return ("raises",) if any(kind in str(error) for kind in kinds) else (str(error),)
    found = [variant.qualified_name for variant in context.resolved_packages or ()]
    return context.status.name, found, context.failure_description, context.num_loaded_packages


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("first", range(0, 20, 5))
def test_random_packages(first: int, published: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rez_as(PathSettings()):
        for seed in range(first, first + 5):
            rng = random.Random(seed)
            path = tmp_path / str(seed) / "packages"
            make_packages(path, seed)
            if published:
                publish([str(path)], beside(str(path)))
            for show in ("1", "2"):
                monkeypatch.setenv("RER_TEST_SHOW", show)
                for _ in range(4):
                    request = [rng.choice((name, f"{name}-2")) for name in rng.sample(FAMILIES, rng.randint(1, 2))]
                    options = rng.choice(({}, {"building": True}, {"timestamp": 5}))
                    package_repository_manager.clear_caches()
                    expected = answer(path, request, **options)
                    package_repository_manager.clear_caches()
                    with rez_bridge.installed():
                        found = answer(path, request, **options)
                    assert found == expected, (seed, show, request, options)
            reasons = {reason for reason in rez_bridge.stats()["reasons"] if "SourceCode" not in reason}
            assert not reasons, seed


@pytest.mark.each_rez
def test_the_answer_is_that_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published where a variable says one thing, asked where it says another."""
    path = tmp_path / "packages"
    write(path, "show", "1", "import os\nrequires = ['lib-' + os.environ.get('RER_TEST_SHOW', '1')]\n")
    for version in "12":
        write(path, "lib", version)
    let_settle(path)
    with rez_as(PathSettings()):
        publish([str(path)], beside(str(path)))
        for show in ("1", "2", "1"):
            monkeypatch.setenv("RER_TEST_SHOW", show)
            forget()
            with rez_bridge.installed():
                assert answer(path, ["show"])[1] == [f"lib-{show}[]", "show-1[]"]
            assert rez_bridge.stats()["native"] == 1


def test_nothing_of_it_is_kept_for_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the folder is not published, and what was composed is kept."""
    path = tmp_path / "packages"
    write(path, "show", "1", "import os\nrequires = ['lib-' + os.environ.get('RER_TEST_SHOW', '1')]\n")
    write(path, "lib", "1")
    write(path, "lib", "2", "@late()\ndef requires():\n    return ['base'] if 'base' in request else []\n")
    write(path, "base", "1")
    let_settle(path)
    with rez_as(PathSettings()):
        for show, request in (("1", ["show"]), ("2", ["show"]), ("2", ["show", "base"]), ("2", ["show"])):
            monkeypatch.setenv("RER_TEST_SHOW", show)
            forget()
            expected = answer(path, request)
            forget()
            with rez_bridge.installed():
                assert answer(path, request) == expected
            assert os.environ["RER_TEST_SHOW"] == show and rez_bridge.stats()["native"] == 1


@pytest.mark.parametrize(
    "text", ["@late()\ndef requires():\n    return {}\n", "import os\nrequires = {}\nos.getcwd()\n"]
)
def test_a_long_chain_does_not_look_at_the_site(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each link is composed once, however many there are, of what the solve reaches alone."""
    path = tmp_path / "packages"
    links = [f"link{number}" for number in range(20)]
    for name, other in zip(links, [*links[1:], "end"], strict=True):
        write(path, name, "1", text.format([other]))
    for name in ("end", "unrelated", "more"):
        write(path, name, "1")
    let_settle(path)
    composed: list[set[str]] = []

    def tables(self: Partial, *arguments: Any, **keywords: Any) -> Any:
        views = made(self, *arguments, **keywords)
        composed.append({name for name in (*links, "end", "unrelated", "more") if Lookup(views).family(name) >= 0})
        return views

    made = Partial.tables
    monkeypatch.setattr(Partial, "tables", tables)
    with rez_as(PathSettings()):
        publish([str(path)], beside(str(path)))
        forget()
        with rez_bridge.installed():
            assert len(answer(path, ["link0"])[1]) == 21
    assert len(composed) <= len(links) and not set().union(*composed) & {"unrelated", "more"}


def test_what_comes_after_a_late_function_is_composed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "packages"
    write(path, "start", "1", "@late()\ndef requires():\n    return ['chain0']\n")
    for number in range(12):
        write(path, f"chain{number}", "1", f"requires = ['chain{number + 1}']\n")
    write(path, "chain12", "1")
    let_settle(path)
    publish([str(path)], beside(str(path)))
    made = []
    tables = Partial.tables

    def counted(self: Partial, *arguments: Any, **options: Any) -> Any:
        made.append(options)
        return tables(self, *arguments, **options)

    monkeypatch.setattr(Partial, "tables", counted)
    with rez_as(PathSettings()), rez_bridge.installed():
        status, found, _, _ = answer(path, ["start"])
    assert (status, len(found)) == ("solved", 14)
    assert len(made) == 1, rez_bridge.stats()


@pytest.mark.each_rez
@pytest.mark.parametrize("variants", ["", "variants = [['base-1'], ['base-2']]\n"])
def test_late_build_requires(tmp_path: Path, variants: str) -> None:
    """Before rez 3.4 they stay texts, over which a solve stumbles."""
    path = tmp_path / "packages"
    write(path, "tool", "1", f"requires = ['lib']\n{variants}@late()\ndef build_requires():\n    return ['cmake-3']\n")
    for name, version in (("cmake", "3"), ("cmake", "4"), ("lib", "1"), ("base", "1"), ("base", "2")):
        write(path, name, version)
    let_settle(path)
    with rez_as(PathSettings()):
        publish([str(path)], beside(str(path)))
        for building in (False, True):
            expected = answer(path, ["tool"], building=building)
            forget()
            with rez_bridge.installed():
                assert answer(path, ["tool"], building=building) == expected
            assert rez_bridge.stats()["native"] == (len(expected) > 1)  # not if it raises
            forget()


def test_what_only_one_process_knows_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A published file that says all the rest is enough for the next process."""
    kept: list[int] = []
    monkeypatch.setattr("rer_numba.rez_bridge.kept_tables.is_command", lambda: True)
    monkeypatch.setattr("rer_numba.rez_bridge.kept_tables.composed_file.write", lambda *_: kept.append(1))
    path = tmp_path / "packages"
    write(path, "asks", "1", "import os\nrequires = ['lib-' + os.environ.get('RER_TEST_SHOW', '1')]\n")
    for name in ("lib", "other"):
        write(path, name, "1")
    let_settle(path)
    with rez_as(PathSettings()), rez_bridge.installed():
        publish([str(path)], beside(str(path)))
        assert answer(path, ["asks", "other"])[0] == "solved" and kept == []
        write(path, "other", "2")  # a release is worth keeping
        let_settle(path)
        forget()
        assert answer(path, ["asks", "other"])[1] == ["lib-1[]", "asks-1[]", "other-2[]"] and kept == [1]
