"""Random folder trees with everything that rez's filesystem repositories do, and changes to them: all from a seed.

A tree always has the families of `tests.tree_texts.GOOD` in plain versions, so that there is something to solve; the
other families have one or two oddities each. Two versions of one folder are never equal under different spellings:
rez would take either. Such pairs lie in different locations.

Names that a file system refuses (on Windows, or bytes that are no text on macOS) are left out there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rer_numba.paths.settings import PathSettings
from rer_numba.requirements import is_valid_package_name
from tests import tree_texts as texts
from tests.tree_folders import (
    EXTENSIONS,
    ODDITIES,
    below,
    link,
    remove,
    remove_if_no_file,
    some_definition,
    some_version,
    write,
)

_NAMES = ("alpha", "omega", "beta_2", "gamma.sub", "delta", "eps", "_zeta", "3d", "settings", "locks", "maya", "nuke")
_VERSIONS = ("1.0", "1.1", "1.1.beta", "2.0", "2.0.a1", "3", "10", "v1_2")
_JUNK_FOLDERS = ("foo-1.0", "with space", "__pycache__", ".hidden", "caf\u00e9", "-dash")
_LONG_AGO_SECONDS = 3600


@dataclass(frozen=True)
class TreeCase:
    """A tree and what to ask about it.

    Attributes
    ----------
    root : Path
    paths : list of str
        The package path; one of them may not exist.
    settings : PathSettings
    names : list of str
        Families to ask for; some do not exist.
    requests : list of list of str
        Solves to compare; the first ones need the plain families only.
    build_python_path : str
        A folder for rez's package_definition_build_python_paths; some package files import from it.
    """

    root: Path
    paths: list[str]
    settings: PathSettings
    names: list[str]
    requests: list[list[str]]
    build_python_path: str


def make_tree(root: Path, seed: int, families: int = 8) -> TreeCase:
    """Write the tree of a seed below `root`, which is made."""
    rng = Random(f"tree {seed}")
    root.mkdir(parents=True, exist_ok=True)
    modules = root / "python"
    modules.mkdir()
    (modules / f"{texts.STUDIO_MODULE}.py").write_bytes(texts.STUDIO_SOURCE)
    locations = [root / f"location{n}" for n in range(rng.randint(1, 3))]
    for location in locations:
        location.mkdir()
        _junk(rng, location)
    _good_families(rng, locations)
    odd = rng.sample(_NAMES, min(families, len(_NAMES)))
    for name in odd:
        for location in rng.sample(locations, rng.randint(1, len(locations))):
            _odd_family(rng, location, name)
    paths = [str(location) for location in locations]
    if rng.random() < 0.2:
        paths.insert(rng.randint(0, len(paths)), str(root / "no_such_folder"))
    names = [*texts.GOOD, *odd, "no_such_family"]
    return TreeCase(root, paths, _settings(rng), names, _requests(rng, odd), str(modules))


def let_settle(root: Path) -> None:
    """Make all that is there an hour old, so that a change is seen whenever it comes."""
    long_ago = time.time_ns() - _LONG_AGO_SECONDS * 1_000_000_000
    for number, path in enumerate(_everything(root)):
        if not path.is_symlink():
            when = long_ago + number
            os.utime(path, ns=(when, when))
    wait_a_tick()


def wait_a_tick() -> None:
    """Let the clock go on by which the system dates changes, also those of dates, which nobody can set back."""
    time.sleep(0.06)


def _everything(root: Path) -> list[Path]:
    """A folder, and the files, folders and links below it: what is inside of a folder before it."""
    found = []
    for folder, names, files in os.walk(root, topdown=False):
        found += [Path(folder, name) for name in sorted(names) + sorted(files)]
    return [*sorted(found, key=lambda path: (-len(path.parts), str(path))), root]


def _settings(rng: Random) -> PathSettings:
    names = rng.choice([("package",)] * 5 + [("package", "rezpkg"), ("rezpkg", "package"), ("rezpkg",), ()])
    return PathSettings(
        allow_unversioned_packages=rng.random() < 0.8,
        package_filenames=names,
        check_package_definition_files=rng.random() < 0.3,
        file_lock_dir=rng.choice((None, None, "locks")),
    )


def _requests(rng: Random, odd: list[str]) -> list[list[str]]:
    made = [["lib"], ["lib-1", "base"], ["tool", "!base-2"], ["lib==1.1", "lib-2"], ["no_such_family"]]
    for name in odd:
        made.append([name])
        made.append([f"{name}{rng.choice(('-1', '==1.0', '-2+', '<2'))}", texts.requirement(rng).lstrip("~!")])
    made.append(rng.sample([*odd, *texts.GOOD], 3))
    return made


# ------------------------------------------------------------------------------------------------------------- families
def _good_families(rng: Random, locations: list[Path]) -> None:
    for place, name in enumerate(texts.GOOD):
        for version in texts.GOOD_VERSIONS:
            lines = [] if not place else [f"requires = [{texts.GOOD[place - 1] + rng.choice(('', '-1+', '-1'))!r}]"]
            lines.append(f"timestamp = {rng.randint(1, 15) * 100_000_000}")
            write(rng.choice(locations) / name / version / "package.py", "\n".join(lines).encode())


def _odd_family(rng: Random, location: Path, name: str) -> None:
    if rng.random() < 0.25:
        extension = rng.choice(EXTENSIONS)
        _write_combined(rng, location / f"{name}.{extension}")
        if rng.random() < 0.5:  # there may be a folder too, which hides it, or the other file
            return
    spell = Random(f"{location.name} {name.lower()}").choice((".", ".", "-", "_"))  # the same in one folder, always
    for version in rng.sample(_VERSIONS, rng.randint(1, 4)):
        text = texts.odd(rng) if rng.random() < 0.3 else texts.plain(rng)
        write(location / name / version.replace(".", spell) / "package.py", text)
    for _ in range(rng.randint(0, 2)):
        rng.choice(ODDITIES)(rng, location / name)


def _junk(rng: Random, location: Path) -> None:
    for name in rng.sample(_JUNK_FOLDERS, 2):
        write(location / name / "1.0" / "package.py", b"")
    write(location / "README.md", b"Packages.\n")
    if rng.random() < 0.3:
        write(location / "settings.yaml", b"disable_memcache: true\n")
    if rng.random() < 0.2:
        write(location / "locks" / ".lock.lib", b"")
    if rng.random() < 0.2:
        link(location / "gone", "nowhere")
    if rng.random() < 0.2:
        link(location / "loop", "loop")
    if rng.random() < 0.2:
        link(location / "linked", "lib")


# -------------------------------------------------------------------------------------------------------------- changes
def mutate(tree: TreeCase, rng: Random) -> str:
    """Change the tree in one way and tell which."""
    location = Path(rng.choice([path for path in tree.paths if os.path.isdir(path)]))
    change = rng.choice(_CHANGES)
    name = rng.choice(_families(location) or ["lib"])
    what = change(rng, location / name)
    return f"{change.__name__.strip('_').replace('_', ' ')}: {location.name}/{name}{what and f' ({what})'}"


def _families(location: Path) -> list[str]:
    return sorted(name for name in os.listdir(location) if is_valid_package_name(name) and (location / name).is_dir())


def _add_version(rng: Random, family: Path) -> str:
    version = rng.choice(("20", "21", "22.5"))
    write(family / version / "package.py", texts.odd(rng) if rng.random() < 0.3 else texts.plain(rng))
    return version


def _remove_version(rng: Random, family: Path) -> str:
    version = some_version(rng, family)
    remove(version)
    return version.name


def _rename_version(rng: Random, family: Path) -> str:
    version = some_version(rng, family)
    if version.exists() and not (family / "30").exists():
        version.rename(family / "30")
    return version.name


def _rewrite(rng: Random, family: Path) -> str:
    path = some_definition(rng, family)
    write(path, texts.plain(rng))
    return below(path, family)


def _replace_by_rename(rng: Random, family: Path) -> str:
    path = some_definition(rng, family)
    if not path.is_dir():
        temporary = path.with_name("package.tmp")
        write(temporary, texts.plain(rng))
        if temporary.is_file():  # or a file is in the place of the folder
            os.replace(temporary, path)
    return below(path, family)


def _edit_in_place(rng: Random, family: Path) -> str:
    """Other content of the same length."""
    path = some_definition(rng, family)
    if path.is_file():
        write(path, path.read_bytes().translate(bytes.maketrans(b"12", b"21")))
    return below(path, family)


def _touch(rng: Random, family: Path) -> str:
    path = some_definition(rng, family)
    if path.exists():
        os.utime(path)
    return below(path, family)


def _add_oddity(rng: Random, family: Path) -> str:
    oddity = rng.choice(ODDITIES)
    oddity(rng, family)
    return oddity.__name__.strip("_").replace("_", " ")


def _remove_mark(rng: Random, family: Path) -> str:
    marks = sorted(path for path in family.glob(".*") if path.name.startswith((".ignore", ".building")))
    if not marks:
        return _add_oddity(rng, family)
    remove(rng.choice(marks))
    return marks[0].name


def _complete_version(rng: Random, family: Path) -> str:
    """A definition file where there was none, or a better one: no trace in the folder of the family."""
    version = some_version(rng, family)
    remove_if_no_file(version / "package.py")
    write(version / "package.py", texts.plain(rng))
    return version.name


def _make_link_good(rng: Random, family: Path) -> str:
    links = sorted(path for path in [*family.parent.iterdir(), *family.iterdir()] if path.is_symlink())
    for broken in links:
        if not broken.exists() and os.readlink(broken) == "nowhere":
            write(broken.parent / "nowhere" / "package.py", b"")
            return broken.name
    return _add_version(rng, family)


def _version_becomes_file(rng: Random, family: Path) -> str:
    version = some_version(rng, family)
    remove(version)
    write(version, b"no folder\n")
    return version.name


def _add_family(rng: Random, family: Path) -> str:
    name = rng.choice(_NAMES)
    _odd_family(rng, family.parent, name)
    return name


def _remove_family(rng: Random, family: Path) -> str:
    if family.name not in texts.GOOD:
        remove(family)
    return ""


def _change_combined(rng: Random, family: Path) -> str:
    files = [path for path in sorted(family.parent.glob("*.*")) if path.suffix in (".py", ".yaml") and path.is_file()]
    path = rng.choice([*files, family.parent / f"{family.name}.{rng.choice(EXTENSIONS)}"])
    if rng.random() < 0.2:
        remove(path)
    else:
        _write_combined(rng, path)
    return path.name


def _write_combined(rng: Random, path: Path) -> None:
    if path.name != "settings.yaml":  # rez reads it as such, and uses no location where it cannot
        write(path, texts.combined(rng, path.suffix[1:]))


_CHANGES: tuple[Callable[[Random, Path], str], ...] = (
    _add_version,
    _add_version,
    _remove_version,
    _rename_version,
    _rewrite,
    _replace_by_rename,
    _edit_in_place,
    _touch,
    _add_oddity,
    _add_oddity,
    _remove_mark,
    _complete_version,
    _complete_version,
    _make_link_good,
    _version_becomes_file,
    _add_family,
    _remove_family,
    _change_combined,
)
