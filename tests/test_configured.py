"""Options from rez's own configuration: rez reads it in a process of its own, and a process of ours says the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rez

from rer_numba.paths.settings import PathSettings
from rer_numba.rez_versions import OrderMeaning, order_meaning
from tests.process import PATIENCE, ROOT
from tests.rez_commands import PYTHON_PATH

ASK_BOTH = """
import json, sys
from rer_numba import SolveOptions
from rer_numba.errors import ConfigurationError
try:
    ours = SolveOptions.from_rez()
except ConfigurationError as error:
    print(json.dumps(["error", str(error)]))
    sys.exit()
from rez.config import config
from rer_numba.rez_bridge.configured import SETTINGS, origins
for name in SETTINGS:
    theirs = getattr(config, name)
    assert (list(getattr(ours, name)) if isinstance(theirs, list) else getattr(ours, name)) == theirs, name
print(json.dumps([ours.to_pod(), origins()]))
"""

NO_REZ = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "rez":
            raise ModuleNotFoundError("No module named 'rez'", name="rez")
sys.meta_path.insert(0, Missing())
"""


def child(home: Path, program: str, *arguments: object, **environment: object) -> subprocess.CompletedProcess[str]:
    """Run a program without any setting of rez but those given."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("REZ_")}
    more = {key: str(value) for key, value in environment.items()}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        check=False,
        cwd=ROOT,
        env={**clean, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": PYTHON_PATH, **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def configured(home: Path, **environment: object) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """(options, where from), both as JSON."""
    done = child(home, ASK_BOTH, **environment)
    assert done.returncode == 0, done.stderr
    options, origins = json.loads(done.stdout)
    return options, origins


def refused(home: Path, **environment: object) -> str:
    """The text of the error."""
    done = child(home, ASK_BOTH, **environment)
    assert done.returncode == 0, done.stderr
    kind, text = json.loads(done.stdout)
    assert kind == "error"
    return str(text)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# ---------------------------------------------------------------------------------------------------------------- files
def test_defaults_of_rez(tmp_path: Path) -> None:
    options, origins = configured(tmp_path)
    assert options["variant_select_mode"] == "version_priority"
    assert options["package_filter"] == options["package_orderers"] == []
    assert [text.partition("==")[0] for text in options["implicit_packages"]] == ["~platform", "~arch", "~os"]
    assert "{" not in "".join(options["implicit_packages"])  # rez has put in the names of this system
    assert set(map(tuple, origins.values())) == {("rez", "default")}


def test_python_files(tmp_path: Path) -> None:
    """ModifyList, DelayLoad, expansions, and platform_map behind an expansion; a later file counts more."""
    write(tmp_path / "filter.json", json.dumps([{"excludes": ["*.beta"]}]))
    one = write(
        tmp_path / "one.py",
        "import os\n"
        "variant_select_mode = 'intersection_priority'\n"
        "platform_map = {'os': {r'^.*$': 'farm-${GENERATION}'}}\n"
        "implicit_packages = ModifyList(append=['~site==${SITE}'])\n"
        f"package_filter = DelayLoad({str(tmp_path / 'filter.json')!r})\n"
        "package_orderers = [{'type': 'sorted', 'descending': False, 'packages': ['maya']}]\n"
        "allow_unversioned_packages = False\n",
    )
    two = write(
        tmp_path / "two.py",
        "variant_select_mode = 'version_priority'\n"
        "error_on_missing_variant_requires = False\n"
        "implicit_packages = ModifyList(prepend=['!python-2'])\n"
        "package_orderers = ModifyList(append=[{'type': 'version_split', 'first_version': '2.5'}])\n",
    )
    files = os.pathsep.join(map(str, (one, two)))
    options, origins = configured(tmp_path, REZ_CONFIG_FILE=files, SITE="lyon", GENERATION="9")
    implicit = options["implicit_packages"]
    assert (implicit[0], implicit[-1]) == ("!python-2", "~site==lyon") and "~os==farm-9" in implicit
    assert options["package_filter"] == [{"excludes": ["glob(*.beta)"]}]
    assert [pod["type"] for pod in options["package_orderers"]] == ["sorted", "version_split"]
    assert options["variant_select_mode"] == "version_priority"
    assert options["error_on_missing_variant_requires"] is options["allow_unversioned_packages"] is False
    assert origins["package_filter"] == ["rez", str(one)]
    assert origins["implicit_packages"] == origins["variant_select_mode"] == ["rez", str(two)]


def test_yaml_files(tmp_path: Path) -> None:
    path = write(
        tmp_path / "site.yaml",
        "variant_select_mode: intersection_priority\n"
        "package_filter:\n  excludes:\n  - glob(*.beta)\n  includes: [range(maya)]\n"
        "package_orderers:\n- type: per_family\n  orderers:\n  - type: sorted\n    descending: false\n"
        "    packages: [maya, nuke]\n",
    )
    options, origins = configured(tmp_path, REZ_CONFIG_FILE=path)
    assert options["variant_select_mode"] == "intersection_priority"
    assert options["package_filter"] == [{"excludes": ["glob(*.beta)"], "includes": ["range(maya)"]}]
    assert options["package_orderers"][0]["orderers"][0]["packages"] == ["maya", "nuke"]
    assert origins["package_filter"] == ["rez", str(path)]


def test_the_home_file(tmp_path: Path) -> None:
    """It counts more than REZ_CONFIG_FILE, unless it is disabled."""
    home = write(tmp_path / ".rezconfig.py", "implicit_packages = ['home']\n")
    site = write(tmp_path / "site.py", "implicit_packages = ['site']\n")
    options, origins = configured(tmp_path, REZ_CONFIG_FILE=site)
    assert options["implicit_packages"] == ["home"] and origins["implicit_packages"] == ["rez", str(home)]
    for word in ("1", "t", "True"):
        options, origins = configured(tmp_path, REZ_CONFIG_FILE=site, REZ_DISABLE_HOME_CONFIG=word)
        assert options["implicit_packages"] == ["site"] and origins["implicit_packages"] == ["rez", str(site)]


# ------------------------------------------------------------------------------------------------------------ variables
@pytest.mark.each_rez
def test_variables(tmp_path: Path) -> None:
    """They count more than files, and the plain one more than the one with JSON."""
    site = write(tmp_path / "site.py", "implicit_packages = ['site']\npackage_filter = [{'excludes': ['a']}]\n")
    options, origins = configured(
        tmp_path,
        REZ_CONFIG_FILE=site,
        REZ_IMPLICIT_PACKAGES="one,two three",
        REZ_IMPLICIT_PACKAGES_JSON='["four"]',
        REZ_PACKAGE_FILTER_JSON='{"excludes": "b-2"}',
        REZ_PACKAGE_ORDERERS_JSON='[{"type": "soft_timestamp", "timestamp": 5, "rank": 2}]',
        REZ_VARIANT_SELECT_MODE="intersection_priority",
        REZ_ERROR_ON_MISSING_VARIANT_REQUIRES="no",
        REZ_ALLOW_UNVERSIONED_PACKAGES="0",
    )
    assert options["implicit_packages"] == ["one", "two", "three"]
    assert options["package_filter"] == [{"excludes": ["range(b-2)"]}]
    assert options["package_orderers"] == [{"type": "soft_timestamp", "timestamp": 5, "rank": 2, "packages": ["*"]}]
    assert options["variant_select_mode"] == "intersection_priority"
    assert options["error_on_missing_variant_requires"] is options["allow_unversioned_packages"] is False
    assert origins["implicit_packages"] == ["environment", "REZ_IMPLICIT_PACKAGES"]
    assert origins["package_filter"] == ["environment", "REZ_PACKAGE_FILTER_JSON"]


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("REZ_VARIANT_SELECT_MODE", "best", "variant_select_mode"),
        ("REZ_PACKAGE_FILTER", "*.beta", "REZ_PACKAGE_FILTER_JSON"),
        ("REZ_PACKAGE_FILTER_JSON", "{", "REZ_PACKAGE_FILTER_JSON"),
        ("REZ_PACKAGE_FILTER_JSON", '[{"excludes": ["foo(x)"]}]', "'foo' is not a valid"),
        ("REZ_PACKAGE_ORDERERS_JSON", '[{"type": "best"}]', "'best'"),
        ("REZ_PACKAGE_ORDERERS_JSON", '[{"type": "version_split", "first_version": "1..2"}]', "1..2"),
        ("REZ_IMPLICIT_PACKAGES", "~platform=={system.planet}", "implicit_packages"),
        ("REZ_IMPLICIT_PACKAGES", "foo-<", "implicit_packages: 'foo-<'"),
    ],
)
def test_bad_settings(variable: str, value: str, named: str, tmp_path: Path) -> None:
    assert named in refused(tmp_path, **{variable: value})


def test_a_bad_file(tmp_path: Path) -> None:
    site = write(tmp_path / "site.py", "implicit_packages = [\n")
    assert str(site) in refused(tmp_path, REZ_CONFIG_FILE=site)


@pytest.mark.each_rez
def test_an_orderer_registered_with_rez(tmp_path: Path) -> None:
    """rez makes it, also within a per_family; it cannot be stored. Of rez up to 3.0 only rez can ask it."""
    program = """
import dataclasses
import rez.package_order
class Alphabetical(rez.package_order.SortedOrder):
    name = "alphabetical"
rez.package_order.register_orderer(Alphabetical)
from rer_numba import PackageData, Repository, SolveOptions
from rer_numba.errors import ConfigurationError
options = dataclasses.replace(SolveOptions.from_rez(), implicit_packages=())
repo = Repository.from_packages([PackageData("a", "1"), PackageData("a", "2")], options=options)
print(repo.solve(["a"]).resolved)
try:
    repo.save("never.rer")
except ConfigurationError as error:
    print(error)
"""
    plain = [{"type": "alphabetical", "descending": False}]
    nested = [{"type": "per_family", "orderers": [{"type": "alphabetical", "descending": False, "packages": ["a"]}]}]
    for pods in (plain, nested):
        done = child(tmp_path, program, REZ_PACKAGE_ORDERERS_JSON=json.dumps(pods))
        if order_meaning(rez.__version__) is OrderMeaning.LISTS:
            assert "only rez can ask it: Alphabetical(False)" in done.stderr
            continue
        assert done.returncode == 0, done.stderr
        solved, error = done.stdout.splitlines()
        assert solved == "[('a', '1', None)]"
        assert "Alphabetical" in error and "cannot be stored" in error


# ------------------------------------------------------------------------------------------------------ package folders
ASK_PATHS = """
from rer_numba.errors import ConfigurationError
from rer_numba.paths.settings import PathSettings
try:
    print(PathSettings.from_rez().to_json())
except ConfigurationError as error:
    print(error)
"""


def path_settings(home: Path, **environment: object) -> str:
    done = child(home, ASK_PATHS, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_settings_of_package_folders(tmp_path: Path) -> None:
    assert PathSettings.from_json(path_settings(tmp_path)) == PathSettings()
    settings = {"package_filenames": ["${NAME}", "package"], "check_package_definition_files": 1, "file_lock_dir": ".l"}
    plugins = {"package_repository": {"filesystem": settings}}
    site = write(tmp_path / "site.py", f"plugins = {plugins!r}\n")
    text = path_settings(tmp_path, REZ_CONFIG_FILE=site, REZ_ALLOW_UNVERSIONED_PACKAGES="no", NAME="rezpkg")
    assert PathSettings.from_json(text) == PathSettings(False, ("rezpkg", "package"), True, ".l")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("{'filesystem': {'package_filenames': 'package'}}", "package_repository: 'package' should be"),
        ("{'filesystem': {'package_filenames': ['a/b']}}", "rez's configuration: path settings: package_filenames"),
        ("{'filesystem': {'file_lock_dir': 5}}", "plugins.package_repository"),
        ("5", "rez cannot read its setting package_repository: TypeError"),
    ],
)
def test_bad_settings_of_package_folders(settings: str, named: str, tmp_path: Path) -> None:
    site = write(tmp_path / "site.py", f"plugins = {{'package_repository': {settings}}}\n")
    assert named in path_settings(tmp_path, REZ_CONFIG_FILE=site)


def test_bad_allow_unversioned(tmp_path: Path) -> None:
    assert "REZ_ALLOW_UNVERSIONED_PACKAGES" in path_settings(tmp_path, REZ_ALLOW_UNVERSIONED_PACKAGES="perhaps")


def test_package_folders_without_rez(tmp_path: Path) -> None:
    done = child(tmp_path, NO_REZ + ASK_PATHS)
    assert done.returncode == 0, done.stderr
    assert "pip install rez" in done.stdout


# ---------------------------------------------------------------------------------------------------------- without rez
def test_without_rez(tmp_path: Path) -> None:
    """A farm machine solves as the studio is configured; only asking rez itself is an error, which names the extra."""
    encode = """
from rer_numba import PackageData, Repository, SolveOptions
packages = [PackageData("app", "1"), PackageData("app", "2", ["lib"]), PackageData("app", "3.beta")]
packages += [PackageData("lib", "1"), PackageData("lib", "2"), PackageData("os", "farm-1"), PackageData("os", "desk-2")]
import sys
Repository.from_packages(packages, options=SolveOptions.from_rez()).save(sys.argv[1])
"""
    site = write(
        tmp_path / "site.py",
        "platform_map = {'os': {r'^.*$': 'farm-1'}}\n"
        "implicit_packages = ['~os=={system.os}']\n"
        "package_filter = [{'excludes': ['*.beta']}]\n"
        "package_orderers = [{'type': 'sorted', 'descending': False, 'packages': ['lib']}]\n",
    )
    done = child(tmp_path, encode, tmp_path / "site.rer", REZ_CONFIG_FILE=site)
    assert done.returncode == 0, done.stderr
    solve = (
        NO_REZ
        + """
from rer_numba import Repository, SolveOptions
repo = Repository.open(sys.argv[1])
print(repo.solve(["app", "os"]).resolved)
print(repo.solve(["app", "os"], SolveOptions()).resolved)
print(repo.solve(["app", "os"], package_filter=None, implicit_packages=()).resolved)
try:
    SolveOptions.from_rez()
except Exception as error:
    print(type(error).__name__, error)
"""
    )
    done = child(tmp_path, solve, tmp_path / "site.rer")
    assert done.returncode == 0, done.stderr
    stored, defaults, overridden, error = done.stdout.splitlines()
    if order_meaning(rez.__version__) is OrderMeaning.LISTS:  # which ignores the packages of an orderer
        assert stored == "[('app', '1', None), ('os', 'farm-1', None)]"
        assert overridden == "[('app', '1', None), ('os', 'desk-2', None)]"
    else:
        assert stored == "[('lib', '1', None), ('app', '2', None), ('os', 'farm-1', None)]"
        assert overridden == defaults
    assert defaults == "[('app', '3.beta', None), ('os', 'farm-1', None)]"
    assert error.startswith("ConfigurationError ") and "pip install rez" in error
