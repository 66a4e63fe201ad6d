"""rez's own benchmark (18,226 packages, 188 requests) as plain Python objects.

The data comes out of the installed rez package and is not part of this project. rez itself is neither imported nor run:
a package file is a list of assignments of literals, and anything else in one is an error, never skipped.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rer_numba.errors import RerError
from rer_numba.user_cache import cache_folder, folder_problem, make_folder

PACKAGES_FILE = "packages.tar.gz"
REQUESTS_FILE = "requests.json"

# What a package file may assign. format_version belongs to the file, not to the package.
KNOWN_KEYS = frozenset({"name", "version", "requires", "variants", "build_requires", "timestamp", "format_version"})


class DataPackage(NamedTuple):
    """One package; the attribute names are those of `rer_numba.PackageData`. Version '' is an unversioned package."""

    name: str
    version: str
    requires: list[str]
    variants: list[list[str]]
    build_requires: list[str]
    timestamp: int | None


class DataSetError(RerError):
    """The data is missing, or is not what this module understands."""


def benchmark_packages(cache_dir: str | Path | None = None) -> list[DataPackage]:
    """Read all packages of rez's benchmark.

    Parameters
    ----------
    cache_dir
        A folder where the packages are kept as JSON, named after the archive's digest. Reading that takes 0.1 s instead
        of 2 s. None: no cache.

    Returns
    -------
    list[DataPackage]
        In the order of the archive: family by family, and within a family in the archive's order, which is not sorted.
        The order is the same wherever the same rez is installed.

    Raises
    ------
    DataSetError
        rez is not installed, its benchmark data is missing, or a package file is no list of literal assignments.
    """
    if cache_dir is None:
        return list(iter_benchmark_packages())
    cached = Path(cache_dir) / f"rez-benchmark-{input_digests()[PACKAGES_FILE][:16]}.json"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_packages(cached, iter_benchmark_packages())
    return read_packages(cached)


def benchmark_tree(cache_dir: str | Path) -> str:
    """Return the folder of rez's benchmark packages, unpacked below `cache_dir` unless that was done before.

    It appears there whole or not at all, under the digest of the archive. Takes 80 MB on most disks.

    Raises
    ------
    DataSetError
        As `benchmark_packages`.
    OSError
        It cannot be written.
    """
    kept = Path(cache_dir) / f"rez-benchmark-{input_digests()[PACKAGES_FILE][:16]}"
    kept_folder(kept, write_tree)
    return str(kept / "packages")


def kept_folder(kept: Path, write: Callable[[str], object]) -> None:
    """Have a folder written unless it is there. It appears whole or not at all."""
    if kept.is_dir():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix="unpacking-", dir=kept.parent)
    try:
        write(temporary)
        os.rename(temporary, kept)
    except OSError:
        if not kept.is_dir():  # which another process may have made meanwhile
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def data_folder(temporary: str) -> str:
    """Where to unpack packages: for the next time in the user's cache, or else in a temporary folder."""
    cache = cache_folder()
    if cache is None or make_folder(cache) or folder_problem(cache):
        return temporary
    return os.path.join(cache, "benchmark")


def write_tree(folder: str | Path) -> str:
    """Unpack rez's benchmark: NAME/VERSION/package.py as rez itself wrote them when they were released.

    Returns
    -------
    str
        The folder to hand to rez, below `folder`.

    Raises
    ------
    DataSetError
        As `benchmark_packages`.
    OSError
        It cannot be written.
    """
    with tarfile.open(data_file(PACKAGES_FILE)) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return os.path.join(folder, "packages")


def iter_benchmark_packages() -> Iterator[DataPackage]:
    """Read the packages one by one; order and errors as with `benchmark_packages`."""
    return _read_archive(data_file(PACKAGES_FILE))


def benchmark_requests() -> list[list[str]]:
    """Read the 188 requests of rez's benchmark, in the file's order."""
    requests: list[list[str]] = json.loads(data_file(REQUESTS_FILE).read_text(encoding="utf-8"))
    return requests


@cache
def input_digests() -> dict[str, str]:
    """Return the sha256 of the two files of the installed rez, by file name."""
    return {name: hashlib.sha256(data_file(name).read_bytes()).hexdigest() for name in (PACKAGES_FILE, REQUESTS_FILE)}


def write_packages(path: str | Path, packages: Iterable[DataPackage]) -> None:
    """Write packages as JSON, one a line, gzipped if the name ends in .gz. Empty attributes are left out."""
    lines = (json.dumps({k: v for k, v in package._asdict().items() if v}) for package in packages)
    text = '{"packages": [\n' + ",\n".join(lines) + "\n]}\n"
    Path(path).write_bytes(gzip.compress(text.encode(), mtime=0) if str(path).endswith(".gz") else text.encode())


def read_packages(path: str | Path) -> list[DataPackage]:
    """Read packages from the JSON that `write_packages` wrote (or from ``data_set/studio/packages.json``)."""
    raw = Path(path).read_bytes()
    data = json.loads(gzip.decompress(raw) if str(path).endswith(".gz") else raw)
    return [_make_package(attributes) for attributes in data["packages"]]


def data_file(name: str) -> Path:
    """Return the path of a file of rez's benchmark data in the installed rez."""
    spec = importlib.util.find_spec("rez")
    if spec is None or spec.origin is None:
        raise DataSetError("rez is not installed; its benchmark data comes with it: pip install rez==3.4.0")
    path = Path(spec.origin).parent / "data" / "benchmarking" / name
    if not path.is_file():
        raise DataSetError(
            f"this installation of rez has no benchmark data: {path} is missing; pip install --force-reinstall rez"
        )
    return path


def _make_package(attributes: dict[str, Any]) -> DataPackage:
    return DataPackage(
        attributes["name"],
        attributes.get("version", ""),
        attributes.get("requires", []),
        attributes.get("variants", []),
        attributes.get("build_requires", []),
        attributes.get("timestamp"),
    )


def _read_archive(path: Path) -> Iterator[DataPackage]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            extracted = archive.extractfile(member)
            if extracted is None:
                raise DataSetError(f"not a plain file: {member.name}")
            yield _parse_package(member.name, extracted.read().decode())


def _parse_package(path: str, source: str) -> DataPackage:
    """Evaluate one package file; its place in the tree must say the same name and version."""
    attributes = {}
    for statement in ast.parse(source, filename=path).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=key)], value=value) if key in KNOWN_KEYS:
                attributes[key] = ast.literal_eval(value)
            case _:
                raise DataSetError(f"{path}, line {statement.lineno}: not an assignment that is known here")
    package = _make_package(attributes)
    if path.removeprefix("./").split("/") != ["packages", package.name, package.version, "package.py"]:
        raise DataSetError(f"{path} holds {package.name}-{package.version}")
    return package
