"""Package folders behind links, and those that are gone or may not be looked at."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rez.package_repository import package_repository_manager

from rer_numba.errors import ConfigurationError
from rer_numba.paths.discover import (
    Location,
    canonical_location,
    list_family,
    list_location,
)
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import ABSENT, unchanged
from tests.random_tree import let_settle
from tests.rez_folders import DEFAULTS, Place, found_by_rez, repository, rez_as, sorted_found

CHECKED = PathSettings(check_package_definition_files=True)
VERSIONED = PathSettings(allow_unversioned_packages=False)


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path / "packages")


# ---------------------------------------------------------------------------------------------------------------- links
links = pytest.mark.skipif(sys.platform == "win32", reason="links are a privilege there")


@links
def test_links_to_folders(at: Place, tmp_path: Path) -> None:
    at.add("foo/1/package.py")
    (at.root / "foo" / "latest").symlink_to("1")
    (at.root / "bar").symlink_to(at.root / "foo")
    (tmp_path / "entry").symlink_to(at.root)
    assert at.files() == {"1": os.path.join("1", "package.py"), "latest": os.path.join("latest", "package.py")}
    assert at.listing().watched == []
    assert set(at.files(name="bar")) == {"1", "latest"}
    location = list_location(str(tmp_path / "entry"), DEFAULTS)
    assert location.path == canonical_location(str(at.root))
    with rez_as(DEFAULTS):
        assert repository(str(tmp_path / "entry")).location == location.path


@links
@pytest.mark.parametrize("target", ["nowhere", "foo"])
def test_links_that_lead_nowhere(target: str, at: Place) -> None:
    at.add("foo/1/package.py")
    (at.root / "foo" / "foo").symlink_to(target)
    (at.root / "nowhere2").symlink_to("nowhere")
    (at.root / "loop").symlink_to("loop")
    assert set(at.files()) == {"1"}
    location = list_location(str(at.root), DEFAULTS)
    assert set(location.families) == {"foo"}
    names = {os.path.basename(path): state for path, state in location.watched}
    assert names == {"nowhere2": ABSENT, "loop": ABSENT}
    assert [(os.path.basename(path), state) for path, state in at.listing().watched] == [("foo", ABSENT)]


@links
def test_a_link_in_place_of_a_combined_file(at: Place) -> None:
    at.add("foo.yaml")
    for name in ("foo.py", "bar.py"):
        (at.root / name).symlink_to(at.root.parent / name)
    assert (at.names(), at.family().extension) == (["foo"], "yaml")
    at.listing()
    location = list_location(str(at.root), DEFAULTS)
    for name in ("foo.py", "bar.py"):
        assert unchanged(os.path.join(location.path, name), dict(location.watched)[os.path.join(location.path, name)])
        (at.root.parent / name).write_bytes(b"")
        assert not all(unchanged(*state) for state in location.watched)
    assert at.names() == ["bar", "foo"]
    assert at.family().extension == at.family("bar").extension == "py"
    for name in ("foo", "bar"):
        at.listing(name=name)


@links
def test_what_appears_behind_a_link_is_seen(at: Place) -> None:
    away = at.root.parent / "away"
    at.add("foo/1/")
    (at.root / "foo" / "1" / "package.py").symlink_to(away / "package.py")
    (at.root / "foo" / "2").symlink_to(away / "2")
    (at.root / "bar").symlink_to(away / "bar")
    (at.root / "foo" / "package.yaml").symlink_to(away / "package.yaml")
    let_settle(at.root)
    location, listing = list_location(str(at.root), DEFAULTS), at.listing()
    assert {entry.version: entry.file for entry in listing.entries} == {"1": None}
    away.mkdir()
    for name in ("package.py", "package.yaml"):
        assert all(unchanged(*state) for state in listing.watched)
        (away / name).write_bytes(b"")
        assert not all(unchanged(*state) for state in listing.watched), name
        (away / name).unlink()
    (away / "2").mkdir()
    assert not all(unchanged(*state) for state in listing.watched)
    assert all(unchanged(*state) for state in location.watched)
    (away / "bar").mkdir()
    assert not all(unchanged(*state) for state in location.watched)
    assert unchanged(location.path, location.state) and unchanged(location.families["foo"].path, listing.state)


@links
def test_a_better_file_behind_a_link_is_seen(at: Place) -> None:
    """Unversioned: the folder is not listed then, and still a link in it counts."""
    at.add("foo/package.yaml")
    (at.root / "foo" / "package.py").symlink_to(at.root.parent / "later.py")
    listing = at.listing()
    assert all(unchanged(*state) for state in listing.watched)
    (at.root.parent / "later.py").write_bytes(b"")
    assert not all(unchanged(*state) for state in listing.watched)
    assert at.files() == {"": "package.py"}


# --------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize("kind", ["missing", "below a file", "a file"])
def test_no_location(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = str(tmp_path / {"missing": "no", "below a file": "file/no", "a file": "file"}[kind])
    assert list_location(path, DEFAULTS) == Location(canonical_location(path), ABSENT, {}, [])
    with rez_as(DEFAULTS):
        assert found_by_rez(path, "foo") is None


def test_locations_as_rez_writes_them(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    at.add("foo/1/package.py")
    monkeypatch.chdir(at.root.parent)
    real = canonical_location(str(at.root))
    for path in ("packages", "./packages/", "packages/../packages", f"filesystem@{at.root}", str(at.root) + os.sep):
        assert list_location(path, DEFAULTS).path == canonical_location(path) == real
        with rez_as(DEFAULTS):
            assert package_repository_manager.get_repository(path).location == real
    with pytest.raises(ConfigurationError, match=r"memory@any.*'memory'"):
        list_location("memory@any", DEFAULTS)


def test_a_location_that_cannot_be_read(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, canonical_location(str(at.root)))
    with pytest.raises(PermissionError) as caught:
        list_location(str(at.root), DEFAULTS)
    assert caught.value.filename == canonical_location(str(at.root))


def test_a_family_that_cannot_be_read(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    at.add("foo/1/package.py", "bar/1/package.py")
    let_settle(at.root)
    family = at.family()
    refuse(monkeypatch, family.path)
    listing = list_family(family, DEFAULTS)
    with rez_as(DEFAULTS), pytest.raises(PermissionError) as caught:
        found_by_rez(str(at.root), "foo")
    assert listing.error == ("PermissionError", str(caught.value))
    assert listing.entries == [] and not unchanged(family.path, listing.state)  # asked again each time
    assert list_family(at.family("bar"), DEFAULTS).error is None
    at.add("foo/package.yaml")  # can be opened, where it cannot be listed
    monkeypatch.undo()
    assert at.files() == {"": "package.yaml"}
    refuse(monkeypatch, family.path)
    assert at.files() == {"": "package.yaml"}


def refuse(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Make it impossible to list one folder, also for root."""

    def refusing(real: Callable[[str], Any]) -> Callable[[str], Any]:
        def listing(path: str = ".") -> Any:
            if path == folder:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return real(path)

        return listing

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))


@pytest.mark.skipif(sys.platform == "win32", reason="os.path does not ask os.stat there")
def test_a_family_that_cannot_be_entered(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names can be listed, nothing below it can be looked at: rez takes none of them for a folder."""
    at.add("foo/1/package.py", "foo/package.py")
    let_settle(at.root)
    family, real = at.family(), os.stat

    def look(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(family.path + os.sep):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", look)
    for settings in (DEFAULTS, VERSIONED, CHECKED):
        assert at.files(settings) == {}
        assert not unchanged(family.path, at.listing(settings).state)
    monkeypatch.undo()
    assert at.files() == {"": "package.py"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_permissions(mode: int, at: Place) -> None:
    at.add("foo/1/package.py", "bar/package.py", "bar/1/package.py")
    let_settle(at.root)
    family, bar = at.family(), at.family("bar")
    for name in ("foo", "bar"):
        os.chmod(at.root / name, mode)
    try:
        listings = [list_family(one, DEFAULTS) for one in (family, bar)]
        for one, listing in zip((family, bar), listings, strict=True):
            with rez_as(DEFAULTS):
                if listing.error is not None:
                    with pytest.raises(PermissionError) as caught:
                        found_by_rez(str(at.root), one.name)
                    assert listing.error == ("PermissionError", str(caught.value))
                else:
                    found = found_by_rez(str(at.root), one.name)
                    assert found is not None
                    assert sorted_found((entry.version, entry.file) for entry in listing.entries) == found[2]
    finally:
        for name in ("foo", "bar"):
            os.chmod(at.root / name, 0o700)
    assert not unchanged(family.path, listings[0].state)  # the times say nothing of it


def test_a_family_that_is_gone(at: Place) -> None:
    at.add("foo/1/package.py", "bar.py")
    families = at.family(), at.family("bar")
    (at.root / "foo").rename(at.root / "moved")
    (at.root / "bar.py").unlink()
    listing, combined = (list_family(family, DEFAULTS) for family in families)
    assert listing.state == combined.state == ABSENT
    assert listing.error is not None and listing.error[0] == "FileNotFoundError"
