"""How rows are solved: options, compiled for one state of a repository; and the words that requests are made of."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.errors import SolveLimitError
from rer_numba.options import SolveOptions
from rer_numba.requests import flags_of, parse_requests
from rer_numba.requirements import Requirement
from rer_numba.schema import CUT_SHIFT

if TYPE_CHECKING:
    from rer_numba.batch.blocks import Block
    from rer_numba.policy import Policy
    from rer_numba.reader import Reader
    from rer_numba.snapshot import Snapshot
    from rer_numba.versions import Look

MOST_WORDS = 1 << 14
"""How many texts are remembered at a time."""

NOWHERE = frozenset((-1,))
"""Gaps of a word with too many bounds that the repository does not know: its cuts hold in no request."""


class Word(NamedTuple):
    """One text of a request, looked up.

    Attributes
    ----------
    name : str
    family : int
        -1 when the repository does not know the name.
    flags : int
    cuts : list of int
    gaps : frozenset of int
        Places between versions of the repository where it has bounds that the repository does not know: '2024' ends
        before '2024_', say. The cuts hold in requests in which no other word has bounds at these places.
    number : int
        In its vocabulary.
    requirement : Requirement
    """

    name: str
    family: int
    flags: int
    cuts: list[int]
    gaps: frozenset[int]
    number: int
    requirement: Requirement


class Vocabulary:
    """The words met so far, for one reader.

    Attributes
    ----------
    words : dict
        By their texts.
    given : list of str or Requirement
        What was handed in, by the number of the word.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.words: dict[str, Word] = {}
        self.given: list[str | Requirement] = []

    def is_full(self) -> bool:
        """Whether it is time for a new one."""
        return len(self.given) >= MOST_WORDS

    def learn(self, given: Any, look: Look | None = None) -> Word:
        """Look up a text or a requirement. Texts are remembered.

        Parameters
        ----------
        given : str or requirement
            A text is a plain one, of no class of its own.
        look : callable, optional
            As for `parse_requests`.

        Raises
        ------
        TypeError, PackageRequestError, VersionError, TimeIsUpError
            It is none, or `look` raises.
        """
        is_text = type(given) is str
        if is_text and given in self.words:
            return self.words[given]
        (requirement,) = parse_requests([given], look=look).requirements
        family, flags = self.reader.family(requirement.name), flags_of(requirement)
        try:
            alone = self.reader.encode([requirement], look)
            cuts, gaps = alone.cuts, frozenset(place >> CUT_SHIFT for place in alone.unseen)
        except SolveLimitError:  # the solve will say so
            cuts, gaps = [], NOWHERE
        word = Word(
            requirement.name, family, flags, cuts, gaps, self.note(given if is_text else requirement), requirement
        )
        if is_text:
            self.words[given] = word
        return word

    def note(self, given: str | Requirement) -> int:
        """Give a number to what was handed in."""
        self.given.append(given)
        return len(self.given) - 1


class Plan:
    """Options, compiled for one state of a repository.

    Parameters
    ----------
    snapshot : Snapshot
    options : SolveOptions
        Checked ones.

    Attributes
    ----------
    reader, policy
        What rows are solved with.
    goes_alone : bool
        Rows need what compiled code does not have: each is solved by itself.
    vocabulary : Vocabulary
    memory : dict
        Where the answers of requests are, by their texts.
    block : Block or None
        The one that is being filled.

    Raises
    ------
    RezError, VersionError, RerError
        An orderer or a filter cannot be used; the text names the value.
    """

    def __init__(self, snapshot: Snapshot, options: SolveOptions) -> None:
        self.snapshot = snapshot
        self.options = options
        self.view = snapshot.view(options.building)
        self.reader = self.view.reader
        self.policy: Policy | None = self.view.policy(options)
        policy = self.policy
        self.goes_alone = policy is not None and (
            policy.asks or (policy.orders_by_time and (snapshot.guard is not None or bool(snapshot.marks)))
        )
        self.memory: dict[tuple[Any, ...], tuple[Block, int]] = {}
        self.block: Block | None = None
        self.renew_vocabulary()

    def renew_vocabulary(self) -> None:
        """Forget all words, and what was made of them."""
        self.vocabulary = Vocabulary(self.reader)
        self.implicit = [self.vocabulary.learn(text) for text in self.options.implicit_packages]


def key_of(options: SolveOptions) -> Any:
    """Something that is equal for options that are written alike; of objects it takes the identity."""
    values = tuple(options.values().values())
    try:  # version 2 writes equal data equally
        return marshal.dumps(values, 2)
    except ValueError:
        return tuple(id(value) if not isinstance(value, (str, bool, int, tuple)) else value for value in values)
