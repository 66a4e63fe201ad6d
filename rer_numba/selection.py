"""Which packages of some facts count, and in what order the tables have them."""

from __future__ import annotations

import numpy as np

from rer_numba.facts import Facts, Requires, inverse, offsets_of, rows_of
from rer_numba.family_order import families_in_order
from rer_numba.schema import IntArray


def select(facts: Facts) -> tuple[Facts, list[str]]:
    """Keep one package for each family and version, sorted as the tables have them, with `given` counted from 0.

    Returns
    -------
    facts : Facts
    names : list of str
        All names, those that nobody uses included, in the order of the families.
    """
    by_name = np.argsort(np.array(facts.names, dtype=object), kind="stable")
    by_key = sorted(range(len(facts.version_keys)), key=facts.version_keys.__getitem__)
    family = inverse(by_name)[facts.packages["name"]]
    rank = inverse(np.array(by_key, np.int64))[facts.packages["version"]]
    given = facts.packages["given"]
    order = np.lexsort((given, -rank, family))
    first = np.ones(len(order), bool)
    first[1:] = (family[order][1:] != family[order][:-1]) | (rank[order][1:] != rank[order][:-1])
    rows = order[first]
    starts = offsets_of(facts.packages["variants"])
    names = _families_in_order(facts, rows, starts)
    ids = {name: row for row, name in enumerate(names)}
    family = np.array([ids[name] for name in facts.names], np.int64)[facts.packages["name"]]
    rows = rows[np.argsort(family[rows], kind="stable")]
    packages = {fact: column[rows] for fact, column in facts.packages.items()}
    packages["given"] = _places_within(family[rows], given[rows])
    variants = rows_of(starts[rows], packages["variants"])
    requires = _picked(facts.requires, variants)
    building = requires if facts.building is facts.requires else _picked(facts.building, variants)
    facts = Facts(**{**vars(facts), "packages": packages, "requires": requires, "building": building})
    if building.equals(requires):
        facts.building = requires
    return facts, names


def _families_in_order(facts: Facts, rows: IntArray, starts: IntArray) -> list[str]:
    """All names, in the order of the families: by what the newest package of each requires.

    Parameters
    ----------
    rows : array of int
        The packages that are kept; those of a family stand side by side, the newest first.
    starts : array of int
        The first variant of each package.
    """
    name_of = facts.packages["name"][rows]
    newest = np.ones(len(rows), bool)
    newest[1:] = name_of[1:] != name_of[:-1]
    rows = rows[newest]
    counts = facts.packages["variants"][rows]
    variants = rows_of(starts[rows], counts)
    requires = _picked(facts.requires, variants)
    user = np.repeat(np.repeat(facts.packages["name"][rows], counts), np.diff(requires.offsets))
    n_names = max(len(facts.names), 1)
    needs: dict[str, set[str]] = {}
    for pair in np.unique(user.astype(np.int64) * n_names + facts.requirement_name[requires.values]).tolist():
        name, needed = divmod(pair, n_names)
        needs.setdefault(facts.names[name], set()).add(facts.names[needed])
    return families_in_order([*facts.names, *(facts.family_errors.keys() - set(facts.names))], needs)


def _places_within(groups: IntArray, values: IntArray) -> IntArray:
    """The place of each value among those of its group; groups are sorted."""
    order = np.lexsort((values, groups))
    starts = np.searchsorted(groups, groups)
    return inverse(order) - starts


def _picked(requires: Requires, variants: IntArray) -> Requires:
    starts = requires.offsets[variants]
    counts = requires.offsets[variants + 1] - starts
    return Requires(requires.error[variants], offsets_of(counts), requires.values[rows_of(starts, counts)])
