"""What is shipped, what the README promises, and which module may import what."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import os
import re
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings along there

import rer_numba
from rer_numba.native.sources import CHECKING_SOURCES, COMPOSING_SOURCES, KERNEL_SOURCES
from rer_numba.needed import IN_PIP
from tests.each_python import CHOSEN

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rer_numba"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

USE_COMMAND = "pip install . && rer-numba demo"
TEST_COMMAND = 'pip install ".[test]" && pytest -n auto'


# ------------------------------------------------------------------------------------------------------------- version
def test_the_version_is_written_once() -> None:
    """In _version.py, from which the build and the package take it."""
    namespace: dict[str, str] = {}
    exec((PACKAGE / "_version.py").read_text(encoding="utf-8"), namespace)
    assert rer_numba.__version__ == namespace["__version__"]
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "rer_numba/_version.py"


def test_the_installed_version_is_this_one() -> None:
    """A stale installation would be tested instead of what was edited."""
    try:
        installed = importlib.metadata.version("rer-numba")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("rer-numba runs from its source tree here")
    assert installed == rer_numba.__version__


def test_changelog_and_licence() -> None:
    """The changelog has a place for what is not released, the licence is the one named in pyproject.toml."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", changelog, re.MULTILINE)
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert PROJECT["project"]["license"] == "MIT"


# --------------------------------------------------------------------------------------------------------------- README
def test_the_readme_has_exactly_two_set_up_commands() -> None:
    """One to use rer-numba, one to test it. `.ci/run` reads the second one from the README."""
    installs = [line for line in README.splitlines() if line.startswith("pip install")]
    assert installs == [USE_COMMAND, TEST_COMMAND]


def test_links_lead_somewhere() -> None:
    """Each relative link of the README and of docs/ names a file of the tree."""
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", target):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_named_tests_exist() -> None:
    """A page that names a test as its proof names one that is there."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        for file, name in re.findall(r"(tests/\w+\.py)::(\w+)", page.read_text(encoding="utf-8")):
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name}: {file}::{name}"


def test_ci_runs_what_the_readme_says() -> None:
    """The script can be run, and takes the test command from the README."""
    script = ROOT / ".ci" / "run"
    assert "README.md" in script.read_text(encoding="utf-8")
    if os.name == "posix":
        assert script.stat().st_mode & stat.S_IXUSR
        assert (ROOT / ".ci" / "pythons").stat().st_mode & stat.S_IXUSR


# ---------------------------------------------------------------------------------------------------------------- wheel
@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> zipfile.ZipFile:
    """The wheel of this tree, opened."""
    return zipfile.ZipFile(wheel_file)


def test_the_wheel_holds_the_package(wheel: zipfile.ZipFile) -> None:
    """Every module and nothing else of the tree; the type marker; the studio, unchanged."""
    names = set(wheel.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    assert modules <= names
    assert "rer_numba/py.typed" in names
    # nobody who installs it waits for a compiler
    from rer_numba.native.cache import file_name
    from rer_numba.native.key import KERNEL_SETS, PORTABLE, portable_key

    for kernels in KERNEL_SETS:
        assert f"rer_numba/_prebuilt/{file_name(PORTABLE, portable_key(kernels, PORTABLE))}" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"rer_numba", f"rer_numba-{rer_numba.__version__}.dist-info"}
    for name in ("packages.json", "requests.json"):
        assert wheel.read(f"rer_numba/_studio/{name}") == (ROOT / "data_set" / "studio" / name).read_bytes()


def test_the_wheel_says_what_it_needs(wheel: zipfile.ZipFile) -> None:
    """Three dependencies for those who use it, and a command."""
    info = f"rer_numba-{rer_numba.__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(required) == ["numba", "numpy", "pyarrow"]
    assert "rer-numba = rer_numba.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


# ---------------------------------------------------------------------------------------------------------------- texts
# Written in pieces, so that this file does not find itself.
FORBIDDEN = re.compile(
    "|".join(("/" + "work/", "/" + "root/", "/" + "tmp/dev", "/" + "opt/py", "/" + "home/[a-z]+/", "extra-" + "index"))
)


ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta")
"""What lies at the top of a virtual environment, whatever its name is, of venv or of conda."""


def tracked_files(root: Path) -> Iterator[Path]:
    """The files that git knows or would take, but for those of virtual environments."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout")
    is_environment = functools.cache(lambda folder: any((folder / mark).exists() for mark in ENVIRONMENT_MARKS))
    for name in listed.stdout.decode().split("\0"):
        path = root / name
        above = path.relative_to(root).parents
        if name and path.is_file() and not any(is_environment(root / folder) for folder in above):
            yield path


@pytest.mark.parametrize("mark", ENVIRONMENT_MARKS)
def test_an_environment_in_the_checkout_is_not_ours(mark: str, tmp_path: Path) -> None:
    """Of any name: what pip writes there names the machine."""
    try:
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git")
    for name in ("ours.py", "env 3.11/ours.txt", f"a/env 3.11/{mark}/x", "a/env 3.11/lib/site-packages/theirs.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [path.name for path in tracked_files(tmp_path)] == ["ours.txt", "ours.py"]


def test_no_text_names_somebodys_machine() -> None:
    """Paths of the machine where a file was written mean nothing elsewhere."""
    found = []
    for path in tracked_files(ROOT):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{n}: {line}" for n, line in enumerate(lines, 1) if FORBIDDEN.search(line)]
    assert not found


@pytest.mark.parametrize("chosen", CHOSEN)
def test_what_runs_on_every_python_is_there(chosen: str) -> None:
    """A name that is no test's would choose nothing."""
    file, _, name = chosen.partition("::")
    assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8")


def test_what_is_to_be_added_has_the_bounds_of_the_project() -> None:
    """The commands that tell what to install name every dependency, and numba in the versions that are wanted."""
    bounds = {re.match(r"\w+", text)[0]: text for text in PROJECT["project"]["dependencies"]}
    assert set(IN_PIP) == {*bounds, "llvmlite"}
    assert IN_PIP["numba"] == f"'{bounds['numba']}'"


# --------------------------------------------------------------------------------------------------------------- layers
KERNEL_MODULES = {name.removesuffix(".py") for name in (*KERNEL_SOURCES, *COMPOSING_SOURCES, *CHECKING_SOURCES)}
MAKES_OR_LOADS_CODE = {"_jit", "native"}

ALLOWED = {
    "numba": {*KERNEL_MODULES, *MAKES_OR_LOADS_CODE},
    "llvmlite": {*KERNEL_MODULES, *MAKES_OR_LOADS_CODE},
    "pyarrow": {"store", "publish", "batch"},
    "rez": {"rez_bridge", "benchmark", "benchmark_data"},
    "pyrer": {"benchmark", "benchmark_pyrer_start"},
    "rich": {"progress"},
    "matplotlib": {"benchmark_figures"},
}
"""Foreign package -> the modules of rer_numba (or its packages) that may import it."""


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, is it imported as soon as the file is) for every import outside ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def walk(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", at_once
            yield from ((f"{node.module}.{alias.name}", at_once) for alias in node.names)
        inside = at_once and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(tree, True)


MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("foreign", ALLOWED)
def test_layers(foreign: str) -> None:
    """Only the modules listed above import it."""
    users = {
        name for name, path in MODULES.items() if any(module.split(".")[0] == foreign for module, _ in imports(path))
    }
    assert {name for name in users if name.split("/")[0] not in ALLOWED[foreign]} == set()


def test_kernels_import_only_kernels() -> None:
    """What is compiled depends on the files that the cache's key is made of, and on nothing else of ours."""
    for name in KERNEL_MODULES:
        found = {module.removeprefix("rer_numba.") for module, _ in imports(MODULES[name]) if "rer_numba." in module}
        ours = {module.replace(".", "/") for module in found}
        assert {one for one in ours if one in MODULES} <= KERNEL_MODULES, name


def test_start_up_imports() -> None:
    """Importing rer_numba brings in none of the large packages: they are for those who need them."""
    code = "import rer_numba, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not set(run.stdout.split()) & {"llvmlite", "matplotlib", "numba", "pyarrow", "pyrer", "rez", "rich"}


def test_mypy_is_lenient_with_kernels_only() -> None:
    """The modules that pyproject.toml excuses from typing are kernels."""
    lenient: set[str] = set()
    for override in PROJECT["tool"]["mypy"]["overrides"]:
        if "disallow_untyped_defs" in override:
            lenient.update(name.removeprefix("rer_numba.").replace(".", "/") for name in override["module"])
    assert lenient == KERNEL_MODULES - {"_jit", "checking/state", "composing/state", "policy_arrays", "schema", "state"}


def test_a_saved_repository_is_solved_without_compiler_or_arrow(tmp_path: Path) -> None:
    """A process that finds a compiled kernel imports none of the large packages; llvmlite where there are no images."""
    from rer_numba import PackageData, Repository, native
    from rer_numba.environment import uses_jit
    from rer_numba.native.image import can_map

    if uses_jit():
        pytest.skip("kernels run through Numba here")
    try:
        native.warmup()
    except native.NativeError as error:
        pytest.skip(f"nothing compiled can be kept here: {error}")
    Repository.from_packages([PackageData("app", "1", ["lib"]), PackageData("lib", "2")]).save(tmp_path / "site.rer")
    code = (
        "import sys; from rer_numba import Repository\n"
        "print(*Repository.open('site.rer').solve(['app']).resolved, file=sys.stderr)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RER_NUMBA_QUIET": "1"}
    large = {"numba", "numpy", "pyarrow", "pyrer", "rez", "rich"} | ({"llvmlite"} if can_map() else set())
    for _ in range(2):  # the first one verifies the file
        time.sleep(0.1)  # what was written just now is not remembered
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        assert run.stderr.strip() == "('lib', '2', None) ('app', '1', None)"
        assert not set(run.stdout.split()) & large


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_is_verified_without_numpy(damaged: bool, tmp_path: Path) -> None:
    """Also one of packages that were found in folders, and one that is refused in the end."""
    from rer_numba import Repository, native, store
    from rer_numba.environment import uses_jit
    from rer_numba.native.image import can_map

    if uses_jit():
        pytest.skip("kernels run through Numba here")
    try:
        native.warmup()
    except native.NativeError as error:
        pytest.skip(f"nothing compiled can be kept here: {error}")
    package = tmp_path / "packages" / "app" / "1" / "package.py"
    package.parent.mkdir(parents=True)
    package.write_text("name = 'app'\nversion = '1'\n", encoding="utf-8")
    path = tmp_path / "site.rer"
    Repository.from_paths([tmp_path / "packages"]).save(path)
    if damaged:
        tables = store.read(path).tables
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rer_numba.checks.check", lambda tables: None)
            store.write(tables._replace(package_indexed=tables.package_indexed + 2), path, store.read(path).metadata)
    code = (
        "import sys; from rer_numba import store\n"
        "try: print(len(store.read('site.rer', verify='always').views.location_text))\n"
        "except store.RepositoryCorruptError as error: print(error.problem)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said, modules = run.stdout.splitlines()
    assert said == ("is damaged: package 0 has variants without an index" if damaged else "1")
    large = {"numba", "numpy", "pyarrow", "rez"} | ({"llvmlite"} if can_map() else set())
    assert not set(modules.split()) & large
