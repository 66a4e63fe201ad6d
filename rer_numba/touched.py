"""What a solve touched: the families rez would have listed and the packages it would have loaded, in rez's order.

The kernels keep a log of it, whatever a solve comes to (`rer_numba.lookup`). Here it is read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rer_numba import state
from rer_numba.engine import Session
from rer_numba.schema import NONE, IntArray


class Touched(NamedTuple):
    """What rez looks at in a solve.

    Attributes
    ----------
    families : list of int or str
        Families whose packages were listed, in the order of the first time; also those without packages, and the one
        whose listing is the error of the solve. The name of a family stands for one that the repository does not know.
    packages : list of int
        Packages that were loaded, in the order in which rez calls its `package_load_callback`. The last one may be the
        package whose loading is the error of the solve.
    hidden : list of int
        Packages that came into range and were not loaded, in the order in which rez looked at them. The policy hides
        them, and rez may have read their release time to know that; of the last one, reading it may be the error of
        the solve.
    """

    families: list[int | str]
    packages: list[int]
    hidden: list[int]


def touched(session: Session) -> Touched:
    """Read what the last solve of a session touched.

    Ports: rez.solver._PackageVariantList.get_intersection (rez 3.4.0).

    Parameters
    ----------
    session : Session
        After `run`, before it is given back: its work arrays must be as the kernel left them.

    Returns
    -------
    Touched
        Also when the solve failed or ended with an error.

    Notes
    -----
    Nothing is read unless somebody asks. Then it costs 0.05 ms for a hundred packages, 0.15 ms for two thousand
    (2026-11).
    """
    n = int(session.head[state.N_LOADS])
    families = dict.fromkeys(session.work.load_family[:n].tolist())
    packages, calls = _packages_in_range(session, n)
    hidden = _hidden(session, packages)
    if session.head[state.REASON] == state.BROKEN_PACKAGE:
        packages, hidden = _until_broken(session, packages, hidden, calls)
    return Touched(
        [_family(session, family) for family in families], packages[~hidden].tolist(), packages[hidden].tolist()
    )


class Known:
    """Remembers what earlier solves touched, to tell in 10 us whether a solve touched anything else."""

    def __init__(self) -> None:
        self._families = np.zeros(0, np.bool_)
        self._variants = np.zeros(0, np.uint64)

    def has_all_of(self, session: Session) -> bool:
        """Tell whether everything that the last solve of a session touched has been noted."""
        families, words, bits = _logged(session)
        if families.max(initial=-1) >= len(self._families):
            return False  # the first solve, or a family that only a request knows
        return bool(self._families[families].all() and not (bits & ~self._variants[words]).any())

    def note(self, session: Session) -> None:
        """Note everything that the last solve of a session touched."""
        families, words, bits = _logged(session)
        self._make_room(session)
        self._families[families[families < len(self._families)]] = True
        np.bitwise_or.at(self._variants, words, bits)

    def arrays(self, session: Session) -> tuple[IntArray, IntArray]:
        """What has been noted, for compiled code: 1 for each family, and masks of variants. They are written on."""
        self._make_room(session)
        families: IntArray = self._families.view(np.uint8)
        return families, self._variants

    def _make_room(self, session: Session) -> None:
        n_families = len(session.engine.tables.family_text)
        if len(self._families) < n_families:
            self._variants = np.zeros(len(session.work.looked_up), np.uint64)
            self._families = np.zeros(n_families, np.bool_)


def _logged(session: Session) -> tuple[IntArray, IntArray, IntArray]:
    """(families, words of `looked_up`, new bits in them) of the log."""
    n, work = int(session.head[state.N_LOADS]), session.work
    words = work.load_word[:n]
    found = words != NONE
    return work.load_family[:n], words[found], work.load_bits[:n][found]


def _family(session: Session, family: int) -> int | str:
    """A family, or the name of one that came with the request; see `Lookup.encode` for their numbers."""
    n_known = len(session.engine.tables.family_text)
    return family if family < n_known else session.request.requirements[family - n_known].name


def _packages_in_range(session: Session, n: int) -> tuple[IntArray, IntArray]:
    """(packages, the look-up that found each) of the first `n` entries of the log, in rez's order."""
    work, tables = session.work, session.engine.tables
    (row,) = (work.load_word[:n] != NONE).nonzero()
    family = work.load_family[row]
    start = tables.family_variant_offsets[family]
    first_variant = start + ((work.load_word[row] - (start >> 6) - family) << 6)  # of the word, see lookup.first_word
    bits = np.unpackbits(work.load_bits[row].astype("<u8").view(np.uint8), bitorder="little")
    (at,) = bits.view(np.bool_).nonzero()
    packages = tables.variant_package[first_variant[at >> 6] + (at & 63)]
    # a package is found with all its variants, which stand side by side
    is_first = np.ones(len(packages), np.bool_)
    is_first[1:] = packages[1:] != packages[:-1]
    packages, calls = packages[is_first], work.load_call[row[at[is_first] >> 6]]
    order = ((calls.astype(np.int64) << 32) | tables.package_given_rank[packages]).argsort()
    return packages[order], calls[order]


def _hidden(session: Session, packages: IntArray) -> IntArray:
    """For each package whether the policy hides it."""
    policy, tables = session.policy, session.engine.tables
    if not policy.filters:
        return np.zeros(len(packages), np.bool_)
    variant = tables.package_variant_offsets[packages]
    family = tables.family_variant_offsets.searchsorted(variant, side="right") - 1
    bit = variant - tables.family_variant_offsets[family]
    word = policy.arrays.seen_mask[policy.arrays.family_word_offsets[family] + (bit >> 6)]
    is_hidden: IntArray = (word >> (bit & 63).astype(np.uint64)) & np.uint64(1) == 0
    return is_hidden


def _until_broken(session: Session, packages: IntArray, hidden: IntArray, calls: IntArray) -> tuple[IntArray, IntArray]:
    """Cut both off after the package that cannot be loaded: the first such one of the last look-up.

    rez calls the callback for it, unless a filter must read it before that: then it counts as hidden.
    """
    broken = (session.engine.tables.package_error[packages] != NONE) & ~hidden & (calls == calls[-1])
    at = int(broken.argmax())
    if session.policy.dies_of(int(packages[at])):
        hidden[at] = True
    return packages[: at + 1], hidden[: at + 1]
