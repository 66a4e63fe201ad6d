"""The wheel alone, as farms install it (`pip install --no-deps`): what works, and what names the package it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import rer_numba
from rer_numba import PackageData, Repository, SolveOptions, needed
from rer_numba.errors import NeedsPackageError
from rer_numba.native.image import can_map
from tests.random_tree import let_settle
from tests.rez_commands import AT_EXIT, HOOK, write_packages
from tests.wheels import Environment

LARGE = ("llvmlite", "numba", "numpy", "pyarrow")

pytestmark = pytest.mark.skipif(not can_map(), reason="compiled kernels need llvmlite here, see docs/installing.md")

PACKAGES = {
    "app-1": "requires = ['lib-1']\ntimestamp = 1000",
    "app-2": "requires = ['lib-2']\ntimestamp = 2000",
    "lib-1": "variants = [['base-1'], ['base-2']]\ntimestamp = 1000",
    "lib-2": "variants = [['base-1'], ['base-2']]\ntimestamp = 1000\nbuild_requires = ['tool']",
    "base-1": "timestamp = 1000",
    "base-2": "timestamp = 1000",
    "tool-1": "timestamp = 1000",
    "quarrel-1": "requires = ['base-1', '!base-1']",
    "marked-1": "requires = ['.feature-1', '~base-1']",
    "late-1": "@late()\ndef requires():\n    return ['base-1']",
    "asking-1": "import os\nrequires = [os.environ.get('NOBODY_SETS_THIS', 'base-1')]",
}
REQUESTS = [["app"], ["lib-2"], ["app-1", "lib-2"], ["marked", "base"], ["quarrel"], ["nothing"], ["app=="], ["late"]]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"building": True},
    {"timestamp": 1500},
    {"variant_select_mode": "intersection_priority", "package_filter": {"excludes": ["app-2"]}},
    {"package_orderers": [{"type": "version_split", "first_version": "1"}]},
    {"package_orderers": [{"type": "soft_timestamp", "timestamp": 1500, "rank": 0}], "rez_version": "3.4.0"},
]


@pytest.fixture(scope="module")
def slim(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("slim") / "env", wheel_file)


@pytest.fixture(scope="module")
def with_rez(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The same, and rez."""
    environment = Environment(tmp_path_factory.mktemp("slim") / "env with rez", wheel_file)
    environment.add("rez", "rezplugins")
    return environment


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """A folder with packages that were published by a whole installation."""
    write_packages(tmp_path / "packages", PACKAGES)
    let_settle(tmp_path / "packages")  # what was written just now is read again
    repository = Repository.from_paths([tmp_path / "packages"])
    repository.save(tmp_path / "site.rer")
    repository.save(f"{tmp_path / 'packages' / '.rer'}{os.sep}")
    (tmp_path / "requests.txt").write_text("app\napp-1 lib-2\nnothing\n")
    (tmp_path / "one.json").write_text(json.dumps({"packages": [{"name": "app", "version": "1"}]}))
    return tmp_path


def run(slim: Environment, code: str, farm: Path, **variables: str) -> Any:
    """What a script prints, as JSON; it must have imported nothing large."""
    told = f"{code}\nimport sys\nassert not {{*{LARGE!r}}} & {{*sys.modules}}"
    done = slim.run("-c", told, cwd=farm, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


# ------------------------------------------------------------------------------------------------------- what there is
def test_nothing_else_is_installed(slim: Environment, tmp_path: Path) -> None:
    """Else this page would show nothing. Small enough for every rez Python of a site."""
    names = (*LARGE, "rez", "rezplugins", "rich", "typing_extensions", "pip", "setuptools")
    code = f"import json, importlib.util as u; print(json.dumps([n for n in {names!r} if u.find_spec(n)]))"
    assert run(slim, code, tmp_path) == []
    assert sum(path.stat().st_size for path in slim.site.rglob("*") if path.suffix != ".pyc") < 8e6


WANT_MORE = {
    "_jit", "batch.arrow", "encode", "facts", "link", "masks", "native.build", "native.compiler", "native.machine",
    "paths.build", "paths.refresh", "paths.sources", "requires_columns", "schema_docs", "selection",
}  # fmt: skip
"""Modules that cannot be imported without one of the large packages. Kernels are others: they are compiled, not run."""


def test_which_modules_want_more(slim: Environment, tmp_path: Path) -> None:
    """A module that joins them is one that a user may come to: what leads there asks `needed.require` first."""
    code = """
import importlib, json, pkgutil, rer_numba
from rer_numba.native.sources import CHECKING_SOURCES, COMPOSING_SOURCES, KERNEL_SOURCES
sources = {*KERNEL_SOURCES, *COMPOSING_SOURCES, *CHECKING_SOURCES}
kernels = {name.removesuffix(".py").replace("/", ".") for name in sources}
found = []
for one in pkgutil.walk_packages(rer_numba.__path__, "rer_numba."):
    name = one.name.removeprefix("rer_numba.")
    if name not in {"__main__", *kernels} and not name.startswith(("benchmark", "rez_bridge")):
        try:
            importlib.import_module(one.name)
        except ModuleNotFoundError as error:
            found.append(name)
print(json.dumps(found))
"""
    assert set(run(slim, code, tmp_path)) == WANT_MORE - {"_jit"}


# ----------------------------------------------------------------------------------------------------------- what works
SOLVE = """
import json, pickle
from rer_numba import *
def told(result):
    kept = result.status, result.resolved, result.resolved_ephemerals, result.failure_description, result.error_type
    return [*kept, result.num_solves, result.num_fails, [*map(str, result.resolved_packages)]]
def all_answers(repository, requests, options):
    one_by_one = [[told(repository.solve(request, **more)) for request in requests] for more in options]
    many = [repository.solve_many(requests, threads=2, **more) for more in options]
    assert [[told(result) for result in batch] for batch in many] == one_by_one
    assert [[told(result) for result in repository.solve_iter(requests, **more)] for more in options] == one_by_one
    assert [batch.request(0) for batch in many] == [requests[0]] * len(many)
    return [one_by_one, [batch.counts for batch in many], [batch.indexes_of("failed", "error") for batch in many],
            [repr(batch) for batch in many], [batch.n_done for batch in many], repr(repository),
            [part._asdict() for part in repository.broken()]]
"""


def test_the_api_answers_as_ever(slim: Environment, farm: Path) -> None:
    """Singly, in batches, one after the other, with all kinds of options; opened from a file, a folder, a pickle."""
    namespace: dict[str, Any] = {}
    exec(SOLVE, namespace)
    requests = [request for request in REQUESTS if request != ["late"]]  # here rez is installed
    expected = namespace["all_answers"](Repository.open(farm / "site.rer"), requests, OPTIONS)
    places = [str(farm / "site.rer"), str(farm / "packages" / ".rer")]
    code = f"""{SOLVE}
found = []
for place in {places!r}:
    repository = Repository.open(place)
    found.append(all_answers(repository, {requests!r}, {OPTIONS!r}))
    assert all_answers(pickle.loads(pickle.dumps(repository)), {requests!r}, {OPTIONS!r}) == found[-1]
assert pickle.loads(pickle.dumps(repository.solve(["app"]))).resolved == repository.solve(["app"]).resolved
print(json.dumps(found))
"""
    assert run(slim, code, farm) == json.loads(json.dumps([expected, expected]))


def test_every_public_name_can_be_had(slim: Environment, tmp_path: Path) -> None:
    code = "import json, rer_numba as r; print(json.dumps([bool(getattr(r, name)) for name in r.__all__]))"
    assert run(slim, code, tmp_path) == [True] * len(rer_numba.__all__)


def test_families_that_a_function_loads(slim: Environment, tmp_path: Path) -> None:
    """They are composed, not linked."""
    code = """
import json, rer_numba
families = {"app": [rer_numba.PackageData("app", "1", ["lib"])], "lib": [rer_numba.PackageData("lib", "2")]}
print(json.dumps(rer_numba.solve(["app"], load_family=lambda name: families.get(name, ())).resolved))
"""
    assert run(slim, code, tmp_path) == [["lib", "2", None], ["app", "1", None]]


COMMANDS = {
    "solve": "solve -r site.rer app --json",
    "solve, not": "solve -r site.rer app-1 lib-2",
    "solve with much": "solve -r packages/.rer lib -b --exclude app-2 -t 2026-10-01 --max-fails 3 --time-limit 60",
    "solve-many": "solve-many -r site.rer requests.txt --json",
    "to csv": "solve-many -r site.rer requests.txt -o out.csv --json",
    "to jsonl": "solve-many -r site.rer requests.txt -o out.jsonl --json",
    "info": "info -r site.rer --json",
    "info --check": "info packages/.rer --check --json",
    "verify": "verify site.rer",
    "verify --json": "verify site.rer --json",
    "config": "config -r site.rer --exclude app-2",
    "help": "help solve",
    "version": "--version",
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_answer_as_ever(slim: Environment, farm: Path, case: str) -> None:
    """As with everything installed, but for times."""
    arguments = ["-m", "rer_numba", *COMMANDS[case].split()]
    whole = {**os.environ, "PYTHONPATH": str(Path(rer_numba.__file__).parent.parent)}
    expected = subprocess.run(
        [sys.executable, *arguments], cwd=farm, env=whole, capture_output=True, text=True, check=False
    )
    done = slim.run(*arguments, cwd=farm)
    assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr) and done.stderr == ""
    assert without_times(done.stdout) == without_times(expected.stdout)


def without_times(text: str) -> list[str]:
    """Lines, but for what a run takes, and for where the description of options happens to break."""
    return [line.partition('"solve_time_ms"')[0].partition(" ms")[0].rstrip("0123456789.") for line in text.split("\n")]


def test_what_has_changed_is_read_again_and_not_written(slim: Environment, farm: Path) -> None:
    """A farm machine solves with packages as they are. The file stays for those who publish."""
    before = (farm / "site.rer").read_bytes()
    write_packages(farm / "packages", {"app-3": "requires = ['base-1']", "new-1": "requires = ['app']"})
    code = """
import json
from rer_numba import Repository
repository = Repository.open("site.rer")
single = repository.solve(["app"]).resolved
print(json.dumps([single, [result.resolved for result in Repository.open("site.rer").solve_many([["app"], ["new"]])]]))
"""
    base, app = ["base", "1", None], ["app", "3", None]
    assert run(slim, code, farm) == [[base, app], [[base, app], [base, app, ["new", "1", None]]]]
    assert (farm / "site.rer").read_bytes() == before
    assert not list(farm.glob("*.lock"))


def test_late_and_asking_packages_name_rez(slim: Environment, farm: Path) -> None:
    for name in ("late", "asking"):
        done = slim.run("-m", "rer_numba", "solve", "-r", "site.rer", name, cwd=farm)
        assert done.returncode == 1 and done.stdout.count("pip install rez\n") == 1, done


# -------------------------------------------------------------------------------------------------------- what does not
NUMPY = "which is not installed here; add it with: pip install numpy"
NUMPY_AND_ARROW = "needs numpy and pyarrow, which are not installed here; add them with: pip install numpy pyarrow"
NUMBA = "needs numba, which is not installed here; add it with: pip install 'numba>=0.68,<0.69'"
NO_KERNELS = "there are no compiled kernels for {} in this installation: making them " + NUMBA

CALLS = {
    "Repository.from_packages([PackageData('a', '1')])": f"encoding packages needs numpy, {NUMPY}",
    "Repository.from_paths(['packages'])": f"encoding packages needs numpy, {NUMPY}",
    "solve(['a'], [PackageData('a', '1')])": f"encoding packages needs numpy, {NUMPY}",
    "opened.tables": f"reading columns as arrays needs numpy, {NUMPY}",
    "opened.save('other.rer')": f"saving a repository {NUMPY_AND_ARROW}",
    "opened.refresh()": f"refreshing a repository {NUMPY_AND_ARROW}",
    "opened.refresh(save=False)": f"refreshing a repository needs numpy, {NUMPY}",
    "opened.solve_many([['app']]).to_arrow()": f"a table of results {NUMPY_AND_ARROW}",
    "warmup()": f"compiling kernels {NUMBA}",
    "warmup(['generic'])": f"compiling kernels {NUMBA}",
    "load_native(cpu='skylake')": NO_KERNELS.format("skylake"),
}


def test_calls_name_what_they_need(slim: Environment, farm: Path) -> None:
    code = f"""
import json
from rer_numba import *
from rer_numba.errors import NeedsPackageError
from rer_numba.native import NativeError, load_native, warmup
opened, found = Repository.open("site.rer"), {{}}
for call in {[*CALLS]!r}:
    try:
        eval(call)
    except (NeedsPackageError, NativeError) as error:
        found[call] = str(error)
print(json.dumps(found))
"""
    assert run(slim, code, farm) == CALLS


REFUSED = {
    "encode packages -o other.rer": f"encoding packages {NUMPY_AND_ARROW}",
    "encode one.json -o other.rer": f"encoding packages {NUMPY_AND_ARROW}",
    "refresh site.rer": f"refreshing a repository {NUMPY_AND_ARROW}",
    "refresh -r packages/.rer --force": f"refreshing a repository {NUMPY_AND_ARROW}",
    "demo": f"encoding packages needs numpy, {NUMPY}",
    "solve maya": f"encoding packages needs numpy, {NUMPY}",
    "solve-many requests.txt": f"encoding packages needs numpy, {NUMPY}",
    "solve-many -r site.rer requests.txt -o out.arrow": f"writing this kind of file {NUMPY_AND_ARROW}",
    "solve-many -r site.rer requests.txt -o out.parquet": f"writing this kind of file {NUMPY_AND_ARROW}",
    "warmup": f"compiling kernels {NUMBA}",
    "solve -r site.rer app --from-rez": "pip install rez",
    "encode --from-rez -o other.rer": NUMPY_AND_ARROW,
    "rez status": "pip install rez",
    "benchmark": "pip install rez",
}


@pytest.mark.parametrize("line", REFUSED)
def test_commands_name_what_they_need(slim: Environment, farm: Path, line: str) -> None:
    """In one line, before anything is done."""
    done = slim.run("-m", "rer_numba", *line.split(), cwd=farm)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rer-numba: ") and done.stderr.count("\n") == 1
    assert REFUSED[line] in done.stderr
    assert not (farm / "other.rer").exists()


def test_numbas_dispatcher_needs_numba(slim: Environment, farm: Path) -> None:
    wanted = "RER_NUMBA_ENGINE=jit needs numba and numpy, which are not installed here; add them with: pip install "
    for arguments in (["solve", "-r", "site.rer", "app"], ["verify", "site.rer"]):
        done = slim.run("-m", "rer_numba", *arguments, cwd=farm, RER_NUMBA_ENGINE="jit")
        assert done.returncode in (1, 2) and wanted in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def without_kernels(with_rez: Environment, tmp_path: Path) -> Environment:
    """An environment on a machine for which the wheel has no kernels."""
    copy = Environment.__new__(Environment)
    copy.folder, copy.python = with_rez.folder, with_rez.python
    copy.site = tmp_path / "site"
    shutil.copytree(with_rez.site / "rer_numba", copy.site / "rer_numba", ignore=shutil.ignore_patterns("*.kernel"))
    return copy


def test_a_machine_without_kernels(without_kernels: Environment, farm: Path) -> None:
    """What is there is not for it, and nothing can be compiled."""
    variables = {"PYTHONPATH": str(without_kernels.site)}
    done = without_kernels.run("-m", "rer_numba", "solve", "-r", "site.rer", "app", cwd=farm, **variables)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert NO_KERNELS.format("x86_64 linux") in done.stderr


def test_rez_solves_on_a_machine_without_kernels(without_kernels: Environment, farm: Path) -> None:
    """With one warning that says why."""
    done = rez_env(without_kernels, farm, "app", PYTHONPATH=str(without_kernels.site), RER_NUMBA="on")
    assert (done.code, done.resolved) == (0, "base-2 lib-2 app-2")
    assert done.err.count("there are no compiled kernels for x86_64 linux") == 1 and "Traceback" not in done.err
    assert done.facts["fallback"] == 1


def test_require(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names what is missing, and nothing else."""
    monkeypatch.setattr(needed, "is_here", lambda package: package != "numpy")
    needed.require("this", "pyarrow")
    with pytest.raises(NeedsPackageError, match=r"^this needs numpy, which is .*: pip install numpy$"):
        needed.require("this", "numpy", "pyarrow")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.undo()
    assert [needed.is_here(package) for package in ("pyarrow", "no_such_package")] == [True, False]
    error = NeedsPackageError("this", ["a", "b", "c"], "pip install a b c")
    assert str(error) == "this needs a, b and c, which are not installed here; add them with: pip install a b c"


# ---------------------------------------------------------------------------------------------------------- behind rez
class Rez:
    """What a rez-env did: exit code, $REZ_USED_RESOLVE, stderr, and the facts of `AT_EXIT`."""

    def __init__(self, done: subprocess.CompletedProcess[str], facts: dict[str, Any]) -> None:
        self.code, self.resolved, self.err, self.facts = done.returncode, done.stdout.strip(), done.stderr, facts


def rez_env(environment: Environment, farm: Path, *arguments: str, lines: Sequence[str] = (), **variables: str) -> Rez:
    """Run rez-env, hooked as docs/rez.md says, on local packages and the published ones."""
    config, facts = farm / "rezconfig.py", farm / "facts.json"
    guarded = f"try:\n    {HOOK}\nexcept Exception:\n    pass\n"
    paths = [str(farm / "local"), str(farm / "packages")]
    config.write_text("\n".join([guarded, AT_EXIT, f"packages_path = {paths!r}", "implicit_packages = []", *lines]))
    variables = {
        "RER_NUMBA": "strict",
        "REZ_CONFIG_FILE": str(config),
        "REZ_DISABLE_HOME_CONFIG": "1",
        "TEST_FACTS": str(facts),
        **variables,
    }
    code = "import sys; from rez.cli._entry_points import run_rez_env; sys.exit(run_rez_env())"
    command = ("--", "sh", "-c", "echo $REZ_USED_RESOLVE")
    done = environment.run("-c", code, *arguments, *command, cwd=farm, **variables)
    return Rez(done, json.loads(facts.read_text()))


REZ_CASES: dict[str, tuple[str, list[str], str]] = {
    "published": ("app", [], "base-2 lib-2 app-2"),
    "local, not published": ("mine", [], "base-2 lib-2 app-2 mine-1"),
    "late": ("late", [], "base-1 late-1"),
    "asks its process": ("asking", [], "base-1 asking-1"),
    "excluded, in time": ("app --exclude app-3 -t 1500", [], "base-2 lib-1 app-1"),
    "filter of the configuration": ("app", ["package_filter = {'excludes': ['app-2']}"], "base-2 lib-1 app-1"),
    "orderer of the configuration": (
        "app",
        ["package_orderers = [{'type': 'version_split', 'first_version': '1'}]"],
        "base-1 lib-1 app-1",
    ),
    "ephemeral": ("marked base", [], "marked-1 base-1"),
}


@pytest.mark.parametrize("case", REZ_CASES)
@pytest.mark.skipif(os.name != "posix", reason="runs sh")
def test_rez_env(with_rez: Environment, farm: Path, case: str) -> None:
    """Each of them natively; RER_NUMBA=strict would end it otherwise."""
    write_packages(farm / "local", {"mine-1": "requires = ['app']"})
    arguments, lines, resolved = REZ_CASES[case]
    done = rez_env(with_rez, farm, *arguments.split(), lines=lines)
    assert (done.code, done.resolved) == (0, resolved), done.err
    assert (done.facts["native"], done.facts["fallback"], done.facts["numpy"]) == (1, 0, False)


@pytest.mark.skipif(os.name != "posix", reason="runs sh")
def test_rez_env_with_a_changed_family_and_one_that_fails(with_rez: Environment, farm: Path) -> None:
    write_packages(farm / "packages", {"app-3": "requires = ['base-1']"})
    done = rez_env(with_rez, farm, "app")
    assert (done.code, done.resolved, done.facts["native"]) == (0, "base-1 app-3", 1), done.err
    done = rez_env(with_rez, farm, "app-1", "lib-2")
    assert done.code == 1 and "(lib-1 <--!--> lib==2)" in done.err + done.resolved
    assert (done.facts["native"], done.facts["fallback"]) == (1, 0)


def test_rez_status(with_rez: Environment, farm: Path) -> None:
    """Hooked, current, and native."""
    rez_env(with_rez, farm, "app")  # writes the configuration
    variables = {"REZ_CONFIG_FILE": str(farm / "rezconfig.py"), "REZ_DISABLE_HOME_CONFIG": "1"}
    done = with_rez.run("-m", "rer_numba", "rez", "status", "--json", "--", "app", cwd=farm, **variables)
    assert done.returncode == 0, done
    facts = json.loads(done.stdout)
    assert facts["hooked"] and facts["request"]["native"] and not facts["request"]["fallback"]
    assert [one["changed"] for one in facts["repositories"] if one["file"]] == [0]


def test_options_of_rez_without_the_large_packages(with_rez: Environment, farm: Path) -> None:
    """`SolveOptions.from_rez`, and a solve that rez has to do as a whole."""
    code = """
import json
from rer_numba import Repository, SolveOptions
repository = Repository.open("site.rer")
late = repository.solve(["late"], SolveOptions.from_rez(), implicit_packages=())
print(json.dumps([late.resolved, bool(late.fallback_reason)]))
"""
    expected = Repository.open(farm / "site.rer").solve(["late"], SolveOptions())
    found = run(with_rez, code, farm, REZ_DISABLE_HOME_CONFIG="1")
    assert found == [[list(one) for one in expected.resolved], True]


def test_packages_of_this_process(slim: Environment, tmp_path: Path) -> None:
    """`PackageData` and the parsers of package files are plain Python."""
    code = """
import json
from rer_numba import PackageData, parse_static_package_py
package = parse_static_package_py("name = 'a'\\nversion = '1'\\nrequires = ['b']\\n")
print(json.dumps([package.name, list(package.requires), PackageData("a", "1").version]))
"""
    assert run(slim, code, tmp_path) == ["a", ["b"], PackageData("a", "1").version]
