"""One solver case as plain data: packages, requests, options; printed, read back and made smaller.

A case file (``tests/cases/*.py``) is a Python literal, comments allowed, named after what it pins::

    # Why this case exists.
    {
        "packages": [
            {"name": "app", "version": "1.0", "requires": ["lib-2"]},
        ],
        "requests": ["app"],
        "options": {},
    }
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

CASES_DIR = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Package:
    """A package with the attribute names of `rer_numba.PackageData`; version '' is an unversioned package."""

    name: str
    version: str = ""
    requires: list[str] = field(default_factory=list)
    variants: list[list[str]] = field(default_factory=list)
    build_requires: list[str] = field(default_factory=list)
    timestamp: int | None = None
    uri: str | None = None


@dataclass(frozen=True)
class Case:
    """Packages in the order they are handed in, the request, and the keyword options of a solve.

    `origin` says where the case came from (seed and profile, or file) and is no part of the literal.
    """

    packages: list[Package]
    requests: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)


# ---- text

_DEFAULTS = Package(name="")


def format_case(case: Case) -> str:
    """Print a case as a literal that `case_from_literal` reads and that may be pasted into a case file."""
    packages = "".join(f"        {_package_literal(package)!r},\n" for package in case.packages)
    return (
        "{\n"
        f'    "packages": [\n{packages}    ],\n'
        f'    "requests": {case.requests!r},\n'
        f'    "options": {case.options!r},\n'
        "}\n"
    )


def case_from_literal(text: str, origin: str = "") -> Case:
    """Read what `format_case` printed (or a case file).

    Raises
    ------
    ValueError, SyntaxError
        The text is no literal.
    KeyError, TypeError
        A part is missing, or a package has an unknown key.
    """
    data = ast.literal_eval(text.strip())
    packages = [Package(**attributes) for attributes in data["packages"]]
    return Case(packages, data["requests"], data.get("options", {}), origin)


def load_case_files(directory: Path = CASES_DIR) -> list[Case]:
    """Read every case file, in name order; `origin` is the name without suffix."""
    return [
        case_from_literal(path.read_text(encoding="utf-8"), origin=path.stem)
        for path in sorted(directory.glob("*.py"))
        if path.name != "__init__.py"
    ]


def _package_literal(package: Package) -> dict[str, Any]:
    values = vars(package)
    return {key: value for key, value in values.items() if key == "name" or value != getattr(_DEFAULTS, key)}


# ---- shrinking


def shrink(case: Case, still_differs: Callable[[Case], bool], *, max_tests: int = 5000) -> Case:
    """Make a differing case smaller, greedily, until no single removal keeps the difference.

    Parameters
    ----------
    still_differs
        Called with a smaller case; True keeps it. It must be True for `case` itself. A candidate may be nonsense (say,
        a request for a package that is gone): the callable decides what counts, and should ask for the *same*
        difference.
    max_tests
        Bound on the number of calls.

    Returns
    -------
    Case
        The smallest case found; `case` itself if nothing could be removed.
    """
    tests = 0
    progress = True
    while progress:
        progress = False
        for make_candidates in _SHRINKERS:
            position = 0
            # After a removal the same position holds the next element, so the scan goes on in place.
            while (candidate := _nth(make_candidates(case), position)) is not None:
                tests += 1
                if tests > max_tests:
                    return case
                if still_differs(candidate):
                    case = candidate
                    progress = True
                else:
                    position += 1
    return case


def _nth(candidates: Iterator[Case], position: int) -> Case | None:
    for index, candidate in enumerate(candidates):
        if index == position:
            return candidate
    return None


def _without_families(case: Case) -> Iterator[Case]:
    for name in dict.fromkeys(package.name for package in case.packages):
        yield replace(case, packages=[package for package in case.packages if package.name != name])


def _without_packages(case: Case) -> Iterator[Case]:
    for rest in _one_less(case.packages):
        yield replace(case, packages=rest)


def _without_requests(case: Case) -> Iterator[Case]:
    for rest in _one_less(case.requests):
        yield replace(case, requests=rest)


def _without_options(case: Case) -> Iterator[Case]:
    for key in case.options:
        yield replace(case, options={k: v for k, v in case.options.items() if k != key})


def _without_option_parts(case: Case) -> Iterator[Case]:
    """Drop one item of a list in the options: an orderer, a family it names, a rule."""
    for options in _smaller_values(case.options):
        yield replace(case, options=options)


def _smaller_values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            for smaller in _smaller_values(inner):
                yield {**value, key: smaller}
    elif isinstance(value, list):
        yield from _one_less(value)
        for index, inner in enumerate(value):
            for smaller in _smaller_values(inner):
                yield [*value[:index], smaller, *value[index + 1 :]]


def _without_parts(case: Case) -> Iterator[Case]:
    """Drop one variant, one requirement of a variant, one requirement, or the timestamp of one package."""
    for position, package in enumerate(case.packages):
        for smaller in _smaller_packages(package):
            yield replace(case, packages=[*case.packages[:position], smaller, *case.packages[position + 1 :]])


def _smaller_packages(package: Package) -> Iterator[Package]:
    for rest in _one_less(package.variants):
        yield replace(package, variants=rest)
    for index, variant in enumerate(package.variants):
        for rest in _one_less(variant):
            yield replace(package, variants=[*package.variants[:index], rest, *package.variants[index + 1 :]])
    for rest in _one_less(package.requires):
        yield replace(package, requires=rest)
    for rest in _one_less(package.build_requires):
        yield replace(package, build_requires=rest)
    if package.timestamp is not None:
        yield replace(package, timestamp=None)


def _one_less(items: list[Any]) -> Iterator[list[Any]]:
    for index in range(len(items)):
        yield [*items[:index], *items[index + 1 :]]


# Big pieces first: a family that goes takes many requirements with it.
_SHRINKERS: tuple[Callable[[Case], Iterator[Case]], ...] = (
    _without_families,
    _without_packages,
    _without_requests,
    _without_options,
    _without_option_parts,
    _without_parts,
)
