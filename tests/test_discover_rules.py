"""Each rule of rez for package folders alone: families, versions, marks, settings, links, permissions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from rez.packages import iter_packages

from rer_numba.paths.discover import (
    Entry,
    canonical_location,
    combined_uri,
    definition_file,
    list_family,
)
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import ABSENT, state_of
from tests.random_tree import let_settle
from tests.rez_folders import DEFAULTS, Place, repository, rez_as

CHECKED = PathSettings(check_package_definition_files=True)
VERSIONED = PathSettings(allow_unversioned_packages=False)


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path / "packages")


def test_a_plain_family(at: Place) -> None:
    at.add("foo/1.0/package.py", "foo/1-0/package.py", "foo/2/package.py")
    listing = at.listing()
    folder = os.path.join(canonical_location(str(at.root)), "foo")
    path = os.path.join(folder, "2", "package.py")
    entries = {entry.version: entry for entry in listing.entries}
    assert set(entries) == {"1.0", "1-0", "2"}
    assert entries["2"]._replace(state=ABSENT) == Entry("2", os.path.join(folder, "2"), path, "py", ABSENT)
    assert entries["2"].state._replace(mtime_ns=0) == state_of(path)._replace(mtime_ns=0)
    assert listing.watched == [] and listing.error is None
    assert listing.state.inode == state_of(folder).inode and listing.state.size == 0


def test_entries_keep_the_order_of_the_folder(at: Place) -> None:
    at.add(*(f"foo/{n * 7919 % 1000}/package.py" for n in range(50)))
    with os.scandir(at.root / "foo") as entries:
        assert [entry.version for entry in at.listing().entries] == [entry.name for entry in entries]


def test_python_before_yaml(at: Place) -> None:
    at.add("foo/1/package.py", "foo/1/package.yaml", "foo/2/package.yaml", "foo/3/package.txt", "foo/4/package.py/")
    files = at.files()
    assert files == {
        "1": os.path.join("1", "package.py"),
        "2": os.path.join("2", "package.yaml"),
        "3": None,
        "4": None,
    }
    extensions = {entry.version: entry.extension for entry in at.listing().entries}
    assert extensions == {"1": "py", "2": "yaml", "3": "", "4": ""}
    folder = os.path.join(canonical_location(str(at.root)), "foo")
    assert definition_file(os.path.join(folder, "2"), DEFAULTS) == (os.path.join(folder, "2", "package.yaml"), "yaml")
    assert definition_file(os.path.join(folder, "3"), DEFAULTS) is None


def test_a_folder_hides_combined_files(at: Place) -> None:
    at.add("foo/", "foo.py", "foo.yaml", "bar.py", "bar.yaml", "baz.yaml", "qux.py/", "qux.yaml", "quux.txt")
    kinds = {name: at.family(name).extension for name in at.names()}
    assert kinds == {"foo": "", "bar": "py", "baz": "yaml", "qux.py": "", "qux": "yaml"}
    for name in ("foo", "bar", "baz", "qux", "qux.py"):
        at.listing(name=name)
    path = os.path.join(canonical_location(str(at.root)), "bar.py")
    assert at.family("bar").path == path
    with rez_as(DEFAULTS):
        package = next(iter_packages("bar", paths=[str(at.root)]))
        assert package.uri == combined_uri(path, "")
    listing = at.listing(name="bar")
    assert (listing.entries, listing.watched, listing.error) == ([], [], None)
    let_settle(at.root)
    assert list_family(at.family("bar"), DEFAULTS).state == state_of(path)


def test_names_of_families(at: Place) -> None:
    at.add(*(f"{name}/" for name in ("foo-1.0", "with space", ".foo", "a..b", "__pycache__", "a.b", "_", "3d")))
    at.add("foo-1.py", "with space.yaml", ".foo.py", "a.b.c.yaml")
    assert at.names() == ["3d", "_", "a.b", "a.b.c"]


def test_reserved_names(at: Place) -> None:
    """rez skips them when it lists families; a solve that asks for them finds them."""
    at.add("locks/.lock.foo")
    (at.root / "settings.yaml").write_text("disable_memcache: true\n")
    settings = PathSettings(file_lock_dir="locks")
    assert at.names() == ["locks", "settings"]
    assert at.listing(settings, "locks").entries == []
    at.listing(settings, "settings")
    with rez_as(settings):
        assert [family.name for family in repository(str(at.root)).iter_package_families()] == []


def test_unversioned(at: Place) -> None:
    at.add("foo/package.py", "foo/1/package.py")
    assert at.files() == {"": "package.py"}
    assert at.files(VERSIONED) == {"1": os.path.join("1", "package.py")}
    assert at.files(CHECKED) == {"": "package.py"}


def test_ignored(at: Place) -> None:
    at.add(*(f"foo/{n}/package.py" for n in range(4)), "foo/.ignore1", "foo/.ignore2/", "foo/.ignore", "foo/.ignore33")
    assert set(at.files()) == set(at.files(CHECKED)) == {"0", "2", "3"}


def test_building(at: Place) -> None:
    at.add(
        "foo/1/package.py", "foo/.building1", "foo/2/", "foo/.building2", "foo/3/", "foo/.building4", "foo/.building"
    )
    assert set(at.files()) == {"1", "3"}
    assert set(at.files(CHECKED)) == {"1"}
    assert [os.path.basename(os.path.dirname(path)) for path, _ in at.listing().watched] == ["2", "2", "3", "3"]


def test_a_building_folder_is_a_version(at: Place) -> None:
    at.add("foo/1/package.py", "foo/.building1/", "foo/.ignored/", "foo/.git/package.py")
    assert set(at.files()) == {"1", ".building1"}
    assert set(at.files(CHECKED)) == {"1"}


def test_built_or_not(at: Place) -> None:
    """Whether a version is built is told by the name package alone; then the given names count."""
    at.add("foo/1/rezpkg.py", "foo/2/rezpkg.yaml", "foo/2/package.py", "foo/3/package.yaml", "foo/.building1")
    at.add("foo/.building2")
    names = PathSettings(package_filenames=("rezpkg",))
    assert at.files(names) == {"2": os.path.join("2", "rezpkg.yaml"), "3": None}
    assert set(at.files(PathSettings(package_filenames=("rezpkg",), check_package_definition_files=True))) == {"2"}
    watched = [os.path.relpath(path, canonical_location(str(at.root))) for path, _ in at.listing(names).watched]
    assert os.path.join("foo", "1", "package.py") in watched  # when it comes, version 1 is there
    assert os.path.join("foo", "2", "package.py") in watched  # when it goes, version 2 is not


def test_several_file_names(at: Place) -> None:
    at.add("foo/1/rezpkg.yaml", "foo/1/package.py", "foo/2/package.py")
    assert at.files(PathSettings(package_filenames=("rezpkg", "package")))["1"] == os.path.join("1", "rezpkg.yaml")
    assert at.files(PathSettings(package_filenames=("package", "rezpkg")))["1"] == os.path.join("1", "package.py")
    assert at.files(PathSettings(package_filenames=())) == {"1": None, "2": None}
    at.add("foo/rezpkg.py")
    assert at.files(PathSettings(package_filenames=("package", "rezpkg"))) == {"": "rezpkg.py"}
    assert set(at.files()) == {"1", "2"}


def test_the_folder_no_version(at: Place) -> None:
    """rez takes this name for no version, and looks for the package in the folder of the family."""
    at.add("foo/1/package.py", "foo/_NO_VERSION/package.py")
    assert at.files() == at.files(CHECKED) == {"1": os.path.join("1", "package.py"), "": None}
    at.add("foo/package.py")
    assert at.files(VERSIONED) == {"1": os.path.join("1", "package.py"), "": "package.py"}


def test_odd_version_folders(at: Place) -> None:
    """They are listed; whether a name is a version is for whoever parses it to say."""
    at.add("foo/1.0/", "foo/not a version/", "foo/1..2/", "foo/readme", "foo/2.0", "foo/\u00e9/")
    assert set(at.files()) == {"1.0", "not a version", "1..2", "\u00e9"}


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_undecodable_names(at: Place) -> None:
    at.add("foo/1.\udcff/package.py", "\udcfe/1/package.py")
    assert set(at.files()) == {"1.\udcff"}
    assert at.names() == ["foo"]


def test_upper_and_lower_case(at: Place) -> None:
    at.add("Foo/1/package.py", "BAR.py")
    assert at.names() == ["BAR", "Foo"]
    at.add("foo/2/package.py")
    if len(os.listdir(at.root)) == 3:  # the file system tells them apart
        assert set(at.files()) == {"2"} and set(at.files(name="Foo")) == {"1"}
