"""What a solve touched: the families rez would have listed and the packages it would have loaded, in rez's order.

The kernels keep a log of it, whatever a solve comes to (`rer_numba.lookup`). Here it is read.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from rer_numba import state
from rer_numba.engine import Session
from rer_numba.schema import NONE
from rer_numba.views import zeros


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
    families = dict.fromkeys(_log(session).families)
    packages, calls = _packages_in_range(session)
    hidden = _hidden(session, packages)
    if session.head[state.REASON] == state.BROKEN_PACKAGE:
        packages = _until_broken(session, packages, hidden, calls)
    names = [_family(session, family) for family in families]
    if not hidden:
        return Touched(names, packages, [])
    return Touched(
        names,
        [package for package in packages if package not in hidden],
        [package for package in packages if package in hidden],
    )


class Known:
    """Remembers what earlier solves touched, to tell in 10 us whether a solve touched anything else."""

    def __init__(self) -> None:
        self._families = zeros("uint8", 0)
        self._variants = zeros("uint64", 0)
        self._entries: set[tuple[int, int, int]] = set()

    def has_all_of(self, session: Session) -> bool:
        """Tell whether everything that the last solve of a session touched has been noted."""
        log, families, variants = _log(session), self._families, self._variants
        # most solves look up what others have looked up in the very same way
        others = set(zip(log.families, log.words, log.bits, strict=True)) - self._entries
        return all(
            family < len(families) and families[family] and (word == NONE or not bits & ~variants[word])
            for family, word, bits in others
        )

    def note(self, session: Session) -> None:
        """Note everything that the last solve of a session touched. Families that only a request knows are not kept."""
        log = _log(session)
        families, variants = self.views(session)
        for family, word, bits in zip(log.families, log.words, log.bits, strict=True):
            if family < len(families):
                families[family] = 1
                if len(self._entries) < _ENTRIES:
                    self._entries.add((family, word, bits))
            if word != NONE:
                variants[word] |= bits

    def views(self, session: Session) -> tuple[memoryview[int], memoryview[int]]:
        """What has been noted, for compiled code: 1 for each family, and masks of variants. They are written on."""
        n_families = len(session.engine.views.family_text)
        if len(self._families) < n_families:
            self._variants = zeros("uint64", len(session.work.looked_up))
            self._families = zeros("uint8", n_families)
        return self._families, self._variants


_ENTRIES = 1 << 16
"""How many entries of logs are remembered as they were. Only speed hangs on it."""


class _Log(NamedTuple):
    """The log of the last solve, a list for each column of it; see `rer_numba.state`."""

    families: list[int]
    calls: list[int]
    words: list[int]
    bits: list[int]


def _log(session: Session) -> _Log:
    n, work = session.head[state.N_LOADS], session.work
    return _Log(*(column[:n].tolist() for column in (work.load_family, work.load_call, work.load_word, work.load_bits)))


def _family(session: Session, family: int) -> int | str:
    """A family, or the name of one that came with the request; see `Lookup.encode` for their numbers."""
    n_known = len(session.engine.views.family_text)
    return family if family < n_known else session.request.requirements[family - n_known].name


def _packages_in_range(session: Session) -> tuple[list[int], dict[int, int]]:
    """Packages that came into range, in rez's order, and the look-up that found each."""
    views = session.engine.views
    found: dict[int, int] = {}
    for family, call, word, bits in zip(*_log(session), strict=True):
        if word == NONE:
            continue
        start = views.family_variant_offsets[family]
        first_variant = start + ((word - (start >> 6) - family) << 6)  # of the word, see lookup.first_word
        left = bits
        while left:
            low = left & -left
            # a package is found with all its variants
            found.setdefault(views.variant_package[first_variant + low.bit_length() - 1], call)
            left ^= low
    given_rank = views.package_given_rank
    places = {package: call << 32 | given_rank[package] for package, call in found.items()}
    return sorted(places, key=places.__getitem__), found


def _hidden(session: Session, packages: list[int]) -> set[int]:
    """Those packages that the policy hides."""
    policy, views = session.policy, session.engine.views
    if not policy.filters:
        return set()
    found = set()
    for package in packages:
        variant = views.package_variant_offsets[package]
        family = bisect_right(views.family_variant_offsets, variant) - 1
        if policy.hides(family, variant):
            found.add(package)
    return found


def _until_broken(session: Session, packages: list[int], hidden: set[int], calls: dict[int, int]) -> list[int]:
    """The packages up to the one that cannot be loaded: the first such one of the last look-up.

    rez calls the callback for it, unless a filter must read it before that: then it counts as hidden.
    """
    errors = session.engine.views.package_error
    last_call = calls[packages[-1]]
    broken = next(p for p in packages if errors[p] != NONE and p not in hidden and calls[p] == last_call)
    if session.policy.dies_of(broken):
        hidden.add(broken)
    return packages[: packages.index(broken) + 1]
