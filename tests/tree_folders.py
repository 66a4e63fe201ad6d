"""Oddities that the folder of a family can have, and the handling of files, for `tests.random_tree`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests import tree_texts as texts

EXTENSIONS = ("py", "yaml")
_BAD_VERSIONS = ("1..2", "not a version", "1.0 ", "1.0-", "\u00e9", ".building9", "_NO_VERSION", "v1!")


def _ignored(rng: Random, family: Path) -> None:
    mark = family / f".ignore{some_version(rng, family).name}"
    if rng.random() < 0.8:
        write(mark, b"")
    else:
        make_folder(mark)  # only a file is a mark


def _being_built(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    write(family / f".building{version.name}", b"")
    if rng.random() < 0.6:
        remove(version / "package.py")


def _without_definition(rng: Random, family: Path) -> None:
    remove(some_version(rng, family) / "package.py")


def _folder_for_file(rng: Random, family: Path) -> None:
    path = some_version(rng, family) / "package.py"
    remove(path)
    make_folder(path)


def _empty_version(rng: Random, family: Path) -> None:
    make_folder(family / "7.7")


def _dot_folder(rng: Random, family: Path) -> None:
    write(family / ".git" / "package.py", b"")


def _unversioned(rng: Random, family: Path) -> None:
    write(family / f"package.{rng.choice(EXTENSIONS)}", b"")


def _yaml(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    write(version / "package.yaml", texts.yaml_text(rng))
    if rng.random() < 0.6:
        remove(version / "package.py")


def _other_file_name(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    write(version / f"rezpkg.{rng.choice(EXTENSIONS)}", b"")
    if rng.random() < 0.5:
        remove(version / "package.py")


def _bad_version(rng: Random, family: Path) -> None:
    write(family / rng.choice(_BAD_VERSIONS) / "package.py", texts.plain(rng))


def _undecodable(rng: Random, family: Path) -> None:
    write(family / "1.\udcff" / "package.py", b"")


def _file_for_version(rng: Random, family: Path) -> None:
    write(family / rng.choice(("5.5", "README", "package", "1.0.zip")), b"no folder\n")


def _linked_version(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    link(family / "latest", version.name if rng.random() < 0.7 else "nowhere")


def _linked_file(rng: Random, family: Path) -> None:
    path = some_version(rng, family) / "package.py"
    remove(path)
    link(path, rng.choice(("../../lib/2.0/package.py", "package.py", "nowhere.py")))


def _old_release_file(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    if rng.random() < 0.5:
        write(version / "release.yaml", rng.choice((b"timestamp: 1234567890\n", b"timestamp: soon\n", b"", b"[\n")))
    else:
        write(version / ".metadata" / "release_time.txt", rng.choice((b"1234567890\n", b" 5 ", b"soon", b"")))


def _included_module(rng: Random, family: Path) -> None:
    version = some_version(rng, family)
    write(version / "package.py", b"@include('helper')\n@late()\ndef requires():\n    return helper.wanted()\n")
    write(version / ".rez" / "include" / "helper.py", b"def wanted():\n    return ['lib']\n")


ODDITIES: tuple[Callable[[Random, Path], None], ...] = (
    _ignored,
    _being_built,
    _without_definition,
    _folder_for_file,
    _empty_version,
    _dot_folder,
    _unversioned,
    _yaml,
    _yaml,
    _other_file_name,
    _bad_version,
    _undecodable,
    _file_for_version,
    _linked_version,
    _linked_file,
    _old_release_file,
    _included_module,
)


# ------------------------------------------------------------------------------------------------------- on the disk
def some_version(rng: Random, family: Path) -> Path:
    """Some version folder of a family; a new one if there is none."""
    names = sorted(os.listdir(family)) if family.is_dir() else []
    found = [family / name for name in names if name[0] != "." and (family / name).is_dir()]
    return rng.choice(found) if found else family / "1.0"


def some_definition(rng: Random, family: Path) -> Path:
    version = some_version(rng, family)
    yaml = version / "package.yaml"
    return yaml if yaml.is_file() and not (version / "package.py").is_file() else version / "package.py"


def below(path: Path, family: Path) -> str:
    return "/".join(path.parts[len(family.parts) :])


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it, unless the system refuses the name or something is in the way."""
    if path.is_symlink():
        path.unlink()  # or what it leads to would change
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except (OSError, UnicodeError):
        if not _refused(path):
            raise


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless something is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        if not _refused(path):
            raise


def _refused(path: Path) -> bool:
    in_the_way = path.is_dir() or any(above.is_file() or above.is_symlink() for above in (path, *path.parents))
    return in_the_way or any(ord(letter) > 127 or letter in " !" for letter in path.name + path.parent.name)


def link(path: Path, target: str) -> None:
    if path.parent.is_dir() and not os.path.lexists(path):
        try:
            path.symlink_to(target)
        except OSError:
            if os.name != "nt":  # there it is a privilege
                raise


def remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def remove_if_no_file(path: Path) -> None:
    if path.is_symlink() or path.is_dir():
        remove(path)
