"""One package file, loaded by rez for us: equal to what a solve meets when live rez reads the same folders."""

from __future__ import annotations

import copy
import os
import pickle
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rez")

from rez import serialise
from rez.serialise import FileFormat

from rer_numba import errors
from rer_numba.packages import LATE, BrokenValue, PackageData
from rer_numba.paths.settings import PathSettings
from rer_numba.rez_bridge.load import load_combined, load_package
from tests.package_texts import package_text
from tests.rez_folders import repository, rez_as
from tests.rez_views import assert_same, attempt, broken, packages_of_rez, view_of_rez, view_of_us, write


@pytest.fixture(scope="module", autouse=True)
def rez_alone() -> Iterator[None]:
    """rez with its own settings."""
    with rez_as(PathSettings()):
        yield


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Python warns of odd escapes in package files, while rez runs them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_one(location: Path, content: bytes | str, extension: str = "py") -> PackageData:
    write(location / "app" / "1.0" / f"package.{extension}", content)
    (package,) = assert_same(location, "app")
    return package


# ---------------------------------------------------------------------------------------------------------- one folder
@pytest.mark.parametrize("chunk", range(6))
def test_random_files(tmp_path: Path, chunk: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what the generator writes, each step of a solve sees the same values and the same errors."""
    kinds: set[str] = set()
    for seed in range(chunk * 50, chunk * 50 + 50):
        write(tmp_path / "app" / str(seed) / "package.py", package_text(random.Random(seed)))
    for package in assert_same(tmp_path, "app"):
        kinds.update(value.error_type for value in package.found if isinstance(value, BrokenValue))
        kinds.add("sound" if package.found.requires and not broken(package.found.requires) else "")
    assert {"sound", "ResourceError", "PackageMetadataError"} <= kinds


def test_the_texts_of_the_file_are_kept(tmp_path: Path) -> None:
    package = load_one(tmp_path, "import os\nrequires = ['foo==1.0', 'a>=1,<2', 'b-']\nvariants = [['c' + '-1'], []]")
    assert (package.requires, package.variants) == (["foo==1.0", "a>=1,<2", "b-"], [["c-1"], []])
    package = load_one(tmp_path, "class T(str):\n    pass\nrequires = [T('a-1')]\nvariants = [[T('b')]]")
    assert [type(text) for text in (*package.requires, *package.variants[0])] == [str, str]


def test_computed_values(tmp_path: Path) -> None:
    text = """
import sys
names = ["a", "b"]
requires = [name + "-1" for name in names]
@early()
def variants():
    return [["x-1"], ["x-2", this.requires[0]]]
@early()
def timestamp():
    return 5
build_requires = ["cmake-%d" % len(names)]
"""
    package = load_one(tmp_path, text)
    assert package.requires == ["a-1", "b-1"]
    assert package.variants == [["x-1"], ["x-2", "a-1"]]
    assert (package.build_requires, package.timestamp) == (["cmake-2"], 5)


@pytest.mark.parametrize("key", ["requires", "build_requires"])
def test_late_functions(tmp_path: Path, key: str) -> None:
    package = load_one(tmp_path, f"variants = [['a']]\n@late()\ndef {key}():\n    raise ValueError('never run')\n")
    value = getattr(package.found, key)
    assert value.error_type == LATE and key in value.text
    assert package.variants == [["a"]]


def test_each_attribute_is_broken_on_its_own(tmp_path: Path) -> None:
    text = "x = 1 + 1\nrequires = ['a b']\nvariants = [['c']]\nbuild_requires = 'd'\ntimestamp = 'now'"
    package = load_one(tmp_path, text)
    assert package.variants == [["c"]]
    for value in (package.found.requires, package.found.build_requires, package.found.timestamp):
        assert isinstance(value, BrokenValue) and value.error_type == "PackageMetadataError"
        assert value.text.startswith("Validation of key '")


LOADING = {
    "requires = [": "ResourceError",
    "raise ValueError('no')": "ResourceError",
    "import no_such_module": "ResourceError",
    "raise SystemExit(3)": "SystemExit",
    "import sys; sys.exit('bye')": "SystemExit",
    "raise GeneratorExit": "GeneratorExit",
    "@early()\ndef requires():\n    return undefined": "NameError",
    "@early()\ndef requires():\n    raise SystemExit": "SystemExit",
    "raise Exception('\\ud800')": "ResourceError",
    "# \xff\ndef commands():\n    pass": "OSError",
    "format_version = 0x" + "f" * 5000: "ValueError",
}
"""Files that rez cannot load, and what it raises."""


@pytest.mark.parametrize("text", LOADING)
def test_a_file_that_does_not_load_breaks_everything(tmp_path: Path, text: str) -> None:
    package = load_one(tmp_path, text.encode("latin-1"))
    kinds = {getattr(value, "error_type", None) for value in package.found}
    assert kinds == {LOADING[text]}
    package.found.requires.text.encode()  # a lone surrogate is escaped


def test_an_attribute_error_counts_as_absence_but_for_variants(tmp_path: Path) -> None:
    """REZ-QUIRK: its wrapper asks with a default, so that an AttributeError while loading leaves the rest unset."""
    package = load_one(tmp_path, "requires = ['a']\ntests = {1: 2}")
    assert broken(package.found.variants) == ("AttributeError", "'int' object has no attribute 'startswith'")
    assert (package.requires, package.timestamp) == ([], None)


def test_deep_recursion(tmp_path: Path) -> None:
    path = write(tmp_path / "app" / "1.0" / "package.py", "def f():\n    return f()\nf()")
    package = load_package(str(tmp_path), "app", "1.0", os.path.dirname(path), path, "py")
    assert isinstance(package.found.variants, BrokenValue) and package.found.variants.error_type == "ResourceError"
    assert "maximum recursion depth exceeded" in package.found.variants.text


def test_an_interrupt_passes(tmp_path: Path) -> None:
    path = write(tmp_path / "app" / "1.0" / "package.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_package(str(tmp_path), "app", "1.0", os.path.dirname(path), path, "py")
    write(tmp_path / "all.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_combined(str(tmp_path), "all", "py", allow_unversioned=True)


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "app" / "1.0").mkdir(parents=True)
    (package,) = assert_same(tmp_path, "app")
    assert isinstance(package.found.requires, BrokenValue)
    assert package.found.requires.error_type == "PackageDefinitionFileMissing"
    assert package.found.requires.text.startswith("Missing package definition file: FileSystemPackageResource({")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "app" / "1.0"
    package = load_package(str(tmp_path), "app", "1.0", str(folder), str(folder / "package.py"), "py")
    assert isinstance(package.found.variants, BrokenValue) and package.found.variants.error_type == "FileNotFoundError"


def test_settings_of_a_location_that_cannot_be_read(tmp_path: Path) -> None:
    """rez raises for whatever is asked of that location."""
    write(tmp_path / "settings.yaml", "a: [")
    folder = tmp_path / "app" / "1.0"
    path = write(folder / "package.py", "")
    package = load_package(str(tmp_path), "app", "1.0", str(folder), path, "py")
    with pytest.raises(Exception, match="while parsing") as raised:
        repository(str(tmp_path))
    assert broken(package.found.variants) == (type(raised.value).__name__, str(raised.value))
    assert load_combined(str(tmp_path), "all", "yaml", allow_unversioned=True) == package.found.variants


def test_an_unversioned_package(tmp_path: Path) -> None:
    write(tmp_path / "app" / "package.py", "import os\nrequires = ['a']")
    (package,) = assert_same(tmp_path, "app")
    assert (package.version, package.requires) == ("", ["a"])


YAML = {
    "requires: [a-1, b]\nvariants:\n- [c]\n- []\ntimestamp: 5": None,
    "requires: a": None,
    "requires: [1.0]": None,
    "": None,
    "- a": "TypeError",
    "just a text": "AttributeError",
    "requires: [": "ParserError",
    "a: b: c": "ScannerError",
    "requires: !!python/tuple [a]": None,
    "x: !!python/object/apply:os.getcwd []": "ConstructorError",
    "variants: null": None,
    "1: 2": None,
}


@pytest.mark.parametrize("text", YAML)
def test_yaml_files(tmp_path: Path, text: str) -> None:
    package = load_one(tmp_path, text, "yaml")
    value = broken(package.found.variants)
    assert YAML[text] is None or (value is not None and value.error_type == YAML[text])


@pytest.mark.parametrize(
    "files",
    [
        {"release.yaml": "timestamp: 7"},
        {"release.yaml": "timestamp: 7\nrequires: [other]"},
        {"release.yaml": "timestamp: soon"},
        {"release.yaml": "["},
        {"release.yaml": "- 1"},
        {"release.yaml": "changelog: [a, b]\ntimestamp: 8"},
        {".metadata/release_time.txt": " 9\n"},
        {".metadata/release_time.txt": "never"},
        {".metadata/changelog.txt": "x"},
        {"release.yaml": "timestamp: 7", ".metadata/release_time.txt": "9"},
    ],
)
def test_old_release_files(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        for version in ("1", "2"):
            write(tmp_path / "app" / version / name, text)
    write(tmp_path / "app" / "1" / "package.py", "requires = ['a']")
    write(tmp_path / "app" / "2" / "package.py", "requires = ['a']\ntimestamp = 1")
    times = {package.version: package.found.timestamp for package in assert_same(tmp_path, "app")}
    assert times["2"] == 1


def test_old_release_files_lie_in_the_folder_that_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "app" / "1.0" / "package.py", "requires = ['a']")
    write(tmp_path / "elsewhere" / "release.yaml", "timestamp: 7")
    package = load_package(str(tmp_path), "app", "1.0", str(tmp_path / "elsewhere"), path, "py")
    assert package.timestamp == 7


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    """Not even the same size and time keep an old answer."""
    for text in ("import os\nrequires = ['a']", "import os\nrequires = ['b']"):
        path = write(tmp_path / "app" / "1.0" / "package.py", text)
        os.utime(path, (1, 1))
        package = load_package(str(tmp_path), "app", "1.0", os.path.dirname(path), path, "py")
        assert package.requires == [text[-3]]


def test_a_copy_that_rez_keeps_is_not_read(tmp_path: Path) -> None:
    """Of a file that this process wrote through rez, rez reads its own copy, whatever became of the file."""
    path = write(tmp_path / "app" / "1.0" / "package.py", "")
    with serialise.open_file_for_write(path) as file:
        file.write("requires = ['old']")
    try:
        write(Path(path), "requires = ['new']")
        assert serialise.load_from_file(path, FileFormat.py)["requires"] == ["old"]
        package = load_package(str(tmp_path), "app", "1.0", os.path.dirname(path), path, "py")
        assert package.requires == ["new"]
        assert os.path.realpath(path) in serialise.file_cache
    finally:
        serialise.file_cache.pop(os.path.realpath(path))


def test_memcached_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("rez's cache was asked")

    monkeypatch.setattr(serialise, "_load_from_file", asked)
    path = write(tmp_path / "app" / "1.0" / "package.py", "import os\nrequires = ['a']")
    assert load_package(str(tmp_path), "app", "1.0", os.path.dirname(path), path, "py").requires == ["a"]
    write(tmp_path / "all.yaml", "requires: [b]")
    assert load_combined(str(tmp_path), "all", "yaml", allow_unversioned=True)[0].requires == ["b"]


# ------------------------------------------------------------------------------------------------------ combined files
COMBINED = {
    "versions: ['1.0', '1-1', '2']\nversion_overrides: {'1.0': {requires: [b]}, '1+': {timestamp: 4}}": 3,
    "versions: ['1', '2']\nrequires: [a]\nversion_overrides: {'<2': {requires: [b]}, '1': {requires: [c]}}": 2,
    "versions: ['1']\nvariants: [[a], [b-1]]": 1,
    "versions: ['1', '1']\nbuild_requires: [c]": 2,
    "requires: [a]\nversion_overrides: {'1': {requires: [b]}}": 1,
    "versions: []\nversion_overrides: {'1': {requires: [b]}, '': {requires: [c]}}": 1,
    "versions: ['1']\nversion_overrides: {'..|': {requires: [b]}}": 1,
    "versions: ['1']\nversion_overrides: {'1': [b]}": 1,
    "versions: ['1']\nversion_overrides: null": 1,
    "versions: ['1', '2']\nversion_overrides: {'2': {variants: [[a b]], requires: [c]}}": 2,
    "versions: ['1']\nvariants: [[a b], [c]]": 1,
    "versions: ['1']\nvariants: [[a b]]\nrequires: [d e]": 1,
    "versions: ['1']\nvariants: abc": 1,
    "versions: ['1']\nvariants: ''": 1,
    "versions: ['1']\nvariants: {}": 1,
    "versions: ['1']\nvariants: {a: 1, b: 2}": 1,
    "versions: ['1']\nvariants: null": 1,
    "versions: ['1']\nvariants: 5": 1,
    "versions: ['1']\ntimestamp: soon": 1,
    "versions: ['1']\nformat_version: 99": 1,
    "versions: [1.0]": "PackageMetadataError",
    "versions: ['1', '..']": "PackageMetadataError",
    "versions: '1'": "PackageMetadataError",
    "versions: null": "PackageMetadataError",
    "- a": "TypeError",
    "text": "AttributeError",
    "versions: [": "ParserError",
}
"""Combined files, with the number of packages or what listing them raises."""


def compare_combined(location: Path, extension: str, allow: bool) -> int | str:
    """Number of packages, or the kind of error; the same as rez has."""
    with rez_as(PathSettings(allow_unversioned_packages=allow)):
        there = attempt(lambda: packages_of_rez(location, "all"))
        # what rez's configuration says is not looked at: the caller has its own
        with rez_as(PathSettings(allow_unversioned_packages=not allow)):
            ours = load_combined(str(location), "all", extension, allow_unversioned=allow)
        if isinstance(there, tuple):
            kind = there[0].removeprefix("raises ")
            assert broken(ours) == (kind, there[1])
            return kind
        assert [(p.name, p.version, p.uri) for p in ours] == [(p.name, str(p.version), p.uri) for p in there]
        assert [view_of_us(package) for package in ours] == [view_of_rez(package) for package in there]
        return len(ours)


@pytest.mark.parametrize("text", COMBINED)
def test_combined_yaml_files(tmp_path: Path, text: str) -> None:
    write(tmp_path / "all.yaml", text)
    assert compare_combined(tmp_path, "yaml", True) == COMBINED[text]
    compare_combined(tmp_path, "yaml", False)


def test_combined_file_without_versions_where_that_is_not_allowed(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", "requires: [a]")
    assert compare_combined(tmp_path, "yaml", False) == "TypeError"
    write(tmp_path / "all.yaml", "versions: []")
    assert compare_combined(tmp_path, "yaml", False) == 0


COMBINED_PY = {
    "versions = ['1', '2']\nrequires = ['a']\nversion_overrides = {'2': {'requires': ['b']}}": 2,
    "versions = [str(n) for n in range(3)]\nwith scope('version_overrides'):\n    pass": 3,
    "versions = ['1']\n@late()\ndef requires():\n    return ['a']\nvariants = [['b', 'c d']]": 1,
    "@early()\ndef versions():\n    return ['1.0', '1_1']": 2,
    "versions = ['1']\ndef commands():\n    pass\nrequires = commands\nbuild_requires = commands": 1,
    "versions = ['1']\ntests = {1: 2}": "AttributeError",
    "versions = ['1']\ndef commands():\n    pass\nbuild_requires = commands": 1,
    "raise SystemExit(1)": "SystemExit",
    "versions = [": "ResourceError",
    "versions = ('1',)": "PackageMetadataError",
    "requires = ['a']": 1,
}


@pytest.mark.parametrize("text", COMBINED_PY)
def test_combined_python_files(tmp_path: Path, text: str) -> None:
    write(tmp_path / "all.py", text)
    assert compare_combined(tmp_path, "py", True) == COMBINED_PY[text]


def test_combined_file_that_is_gone(tmp_path: Path) -> None:
    found = broken(load_combined(str(tmp_path), "all", "py", allow_unversioned=True))
    assert found is not None and found.error_type == "FileNotFoundError"


# ------------------------------------------------------------------------------------------------------------- details
def test_an_error_without_a_text() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert BrokenValue.of(MuteError()) == ("MuteError", "an error that cannot be told")


def test_packages_that_are_partly_broken() -> None:
    """Each attribute raises what rez raises, and nothing else does."""
    missing = BrokenValue("PackageMetadataError", "wrong")
    package = PackageData.as_found("a", "1", missing, [["b"]], build_requires=missing, timestamp=missing, uri="here")
    assert (package.variants, package.uri) == ([["b"]], "here")
    for key in ("requires", "build_requires", "timestamp"):
        with pytest.raises(errors.PackageMetadataError, match="wrong"):
            getattr(package, key)
    for kind in ("ParserError", "annotations", errors.NeedsRezError.__name__):
        unknown = PackageData.as_found("a", "1", variants=BrokenValue(kind, "line 1"))
        with pytest.raises(errors.RerError, match="line 1"):
            unknown.variants  # noqa: B018
    assert (unknown.requires, unknown.build_requires, unknown.timestamp) == ([], [], None)
    assert repr(unknown) == "PackageData('a', '1', [], BrokenValue(error_type='NeedsRezError', text='line 1'))"


def test_broken_packages_are_values() -> None:
    """They compare, hash and pickle; a broken list is not the list of its two texts."""
    broken_requires = PackageData.as_found("a", "1", BrokenValue("X", "y"), timestamp=BrokenValue("Z", ""))
    for other in (pickle.loads(pickle.dumps(broken_requires)), copy.copy(broken_requires)):
        assert other == broken_requires and hash(other) == hash(broken_requires)
        assert other.found.timestamp == BrokenValue("Z", "") and isinstance(other.found.requires, BrokenValue)
    assert PackageData.as_found("a", "1", BrokenValue("X", "y")) != PackageData("a", "1", ["X", "y"])
    sound = PackageData.as_found("a", "1", ["x"], [["y"]], timestamp=3)
    assert sound == PackageData("a", "1", ["x"], [["y"]], timestamp=3)
