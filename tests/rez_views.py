"""What a solve reads of a package, from live rez's objects and from `PackageData`, in one form that can be compared.

A value is itself; an error is a tuple ``("raises CLASS", text)``; a late function is named and not run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rez.packages import Package, Variant
from rez.utils.formatting import PackageRequest
from rez.utils.sourcecode import SourceCode

from rer_numba.packages import LATE, BrokenValue, PackageData
from rer_numba.rez_bridge.load import load_package
from tests.rez_folders import repository

View = dict[str, Any]
"""What a solve meets, by the step in which it does."""
_ADDRESS = re.compile(r"0x[0-9a-f]+")


def write(path: Path, content: bytes | str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return str(path)


def told(error_type: str, text: str) -> tuple[str, str]:
    if "maximum recursion depth exceeded" in text:
        text = "too deep"  # where depends on who called
    return "raises " + error_type, _ADDRESS.sub("", text.encode("utf-8", "backslashreplace").decode())


def attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return told(type(error).__name__, str(error))


def texts(requirements: Sequence[object]) -> list[str]:
    return [attempt(lambda r=r: str(r)) for r in requirements]


def view_of_rez(package: Package) -> View:
    """The reads of a solve, in its order, on rez's own objects."""
    variants = attempt(lambda: list(package.iter_variants()))
    view: View = {"timestamp": attempt(lambda: package.timestamp)}
    if isinstance(variants, tuple):
        return {**view, "variants": variants}
    view["variants"] = [variant.index for variant in variants]
    for building in (False, True):
        view[building] = attempt(lambda b=building: [required_by_rez(package, variant, b) for variant in variants])
    return view


def required_by_rez(package: Package, variant: Variant, building: bool) -> list[str] | str:
    """What a variant requires, raising what rez raises; late functions do not run."""
    if is_late(package, "requires"):
        return "late requires"
    requires = variant.get_requires()
    if building and is_late(package, "build_requires"):
        return "late build_requires"
    return texts(variant.get_requires(build_requires=True) if building else requires)


def is_late(package: Package, key: str) -> bool:
    value = attempt(lambda: getattr(package.resource, key))
    return isinstance(value, SourceCode) and value.late_binding


def view_of_us(package: PackageData) -> View:
    """The same reads, on what was loaded for us."""
    found = package.found
    view: View = {"timestamp": told(*broken(found.timestamp)) if broken(found.timestamp) else found.timestamp}
    if problem := broken(found.variants):
        return {**view, "variants": told(*problem)}
    variants = package.variants or [[]]
    view["variants"] = list(range(len(package.variants))) or [None]
    for building in (False, True):
        lists = {"requires": found.requires, **({"build_requires": found.build_requires} if building else {})}
        problems = [(key, problem) for key, value in lists.items() if (problem := broken(value))]
        if problems:
            key, problem = problems[0]
            view[building] = [f"late {key}"] * len(variants) if problem.error_type == LATE else told(*problem)
            continue
        build = package.build_requires if building else []
        view[building] = [texts(map(PackageRequest, [*package.requires, *own, *build])) for own in variants]
    return view


def broken(value: object) -> BrokenValue | None:
    return value if isinstance(value, BrokenValue) else None


def packages_of_rez(location: Path, name: str) -> list[Package]:
    there = repository(str(location))
    return [Package(resource) for resource in there.iter_packages(there.get_package_family(name))]


def load_like(location: Path, package: Package) -> PackageData:
    """Load what rez has listed."""
    version = package.resource.get("version") or ""
    file = package.resource.filepath
    extension = file.rpartition(".")[2] if file else ""
    folder = (
        os.path.join(str(location), package.name, version) if version else os.path.join(str(location), package.name)
    )
    return load_package(str(location), package.name, version, folder, file, extension)


def assert_same(location: Path, name: str) -> list[PackageData]:
    """Compare all packages of a family with rez; give ours."""
    there = packages_of_rez(location, name)
    assert there
    loaded = []
    for package in there:
        ours = load_like(location, package)
        assert view_of_us(ours) == view_of_rez(package), ours
        assert (ours.name, ours.version, ours.uri) == (package.name, str(package.version), package.uri)
        loaded.append(ours)
    return loaded
