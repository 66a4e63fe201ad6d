"""Requests into blocks of rows, by the thread that reads the requests.

A request that was met before is not encoded again, and neither is a text. What cannot be solved at all (a text that is
no request, options that cannot be used) becomes a row with an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rer_numba import state
from rer_numba.batch.blocks import ALONE, Block
from rer_numba.batch.plans import BAD_OPTIONS, MOST_WORDS, NOWHERE, Plan, Word, key_of
from rer_numba.batch.request import Request
from rer_numba.errors import PackageRequestError, SolveLimitError, VersionError
from rer_numba.requirements import RequirementList

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.repository import Repository

Place = tuple[Block, int]
"""Where the answer of a request is: a block, and a row in it."""

FIRST_ROWS, MOST_ROWS = 32, 2048
_MOST_PLANS = 64
_REMEMBERED = 1 << 15
"""Requests whose places are remembered at a time, for each plan."""


class Encoder:
    """Writes requests into blocks.

    Parameters
    ----------
    repository : Repository
    options : SolveOptions
        Of the requests without options of their own; checked.
    reuse : bool
        Give equal requests one place.

    Attributes
    ----------
    full : list of Block
        Sealed ones, for whoever comes to take them away.
    rows_wanted : int
        How many rows make a block full.

    Raises
    ------
    RezError, VersionError, RerError
        An orderer or a filter of the options cannot be used.
    """

    def __init__(self, repository: Repository, options: SolveOptions, reuse: bool) -> None:
        self._repository = repository
        self._options = options
        self._reuse = reuse
        self._paths = "; ".join(repository.paths)
        self.full: list[Block] = []
        self.rows_wanted = FIRST_ROWS
        self._texts: dict[Any, Any] = {}
        self._begin()

    def _begin(self) -> None:
        """Make plans for the repository as it is now."""
        self._snapshot = self._repository._snapshot
        self._plan = Plan(self._snapshot, self._options)
        self._plans: dict[Any, Plan] = {key_of(self._options): self._plan}
        self._of_objects: dict[int, tuple[Any, Plan]] = {}

    def intern(self, text: Any) -> Any:
        """One object for equal texts, as far as that is remembered."""
        if len(self._texts) >= MOST_WORDS:
            self._texts.clear()
        return self._texts.setdefault(text, text)

    # --- placing

    def place(self, item: Any) -> Place:
        """Write a request, or find where an equal one is."""
        if self._repository._snapshot is not self._snapshot:  # some thread has read changed packages again
            self.seal_all()
            self._begin()
        plan = self._plan
        if isinstance(item, Request):
            try:
                plan = self._plan_of(item)
            except BAD_OPTIONS as error:
                return self._place_error(plan, error)
            item = item.requests
        try:
            if isinstance(item, (str, bytes)):
                raise TypeError(f"a request is a list of texts, not the text {item!r}")
            texts = tuple(item)
        except Exception as error:  # noqa: BLE001 - whatever the iterable of one request raises
            return self._place_error(plan, error)
        try:
            found = plan.memory.get(texts)
        except TypeError:  # something in it cannot be hashed
            found = None
        return found or self._place_new(plan, texts)

    def _place_new(self, plan: Plan, texts: tuple[Any, ...]) -> Place:
        if plan.vocabulary.is_full():
            self._seal(plan)
            plan.renew_vocabulary()
            plan.memory.clear()
        words = plan.vocabulary.words
        try:
            given, is_text = [words[text] for text in texts], True
        except (KeyError, TypeError):
            try:
                given = [plan.vocabulary.learn(text) for text in texts]
            except (TypeError, PackageRequestError, VersionError) as error:
                return self._place_error(plan, error)
            is_text = all(isinstance(text, str) for text in texts)
        block = plan.block or self._open(plan)
        place = block, self._write(plan, block, given)
        if self._reuse and is_text:
            if len(plan.memory) >= _REMEMBERED:
                plan.memory.clear()
            plan.memory[texts] = place
        if block.n_rows >= self.rows_wanted:
            self._seal(plan)
        return place

    def _write(self, plan: Plan, block: Block, given: list[Word]) -> int:
        """Write the words of a request into a block; returns its row."""
        asked = given + plan.implicit if plan.implicit else given
        if plan.goes_alone:
            return block.add_preset(given, ALONE)
        if _stand_apart(asked):
            return block.add(given, asked)
        merged = RequirementList([word.requirement for word in asked])
        if merged.conflict:
            return block.add_preset(given, state.FAILED)
        try:
            request = plan.reader.encode(merged.requirements)
        except SolveLimitError:
            return block.add_preset(given, ALONE)  # which ends in the same error, as a result
        return block.add_encoded(given, request)

    def _place_error(self, plan: Plan, error: Exception) -> Place:
        block = plan.block or self._open(plan)
        row = block.add_preset([], state.ERROR)
        block.errors[row] = (self.intern(type(error).__name__), self.intern(str(error)))
        if block.n_rows >= self.rows_wanted:
            self._seal(plan)
        return block, row

    # --- blocks

    def _open(self, plan: Plan) -> Block:
        plan.block = Block(plan, self._paths)
        return plan.block

    def _seal(self, plan: Plan) -> None:
        if plan.block is not None and plan.block.n_rows:
            plan.block.seal()
            self.full.append(plan.block)
        plan.block = None

    def seal_all(self) -> None:
        """Seal every block that has rows."""
        for plan in self._plans.values():
            self._seal(plan)

    # --- plans

    def _plan_of(self, request: Request) -> Plan:
        """The plan of a request with options of its own. Raises what `BAD_OPTIONS` names."""
        options = self._options if request.options is None else request.options
        if not request.overrides:
            if request.options is None:
                return self._plan
            known = self._of_objects.get(id(options))
            if known is not None:
                return known[1]
        checked = self._repository.checked_options(options, request.overrides)
        key = key_of(checked)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self.seal_all()
                self._of_objects.clear()
                self._plans = {key_of(self._options): self._plan}
            plan = self._plans[key] = Plan(self._snapshot, checked)
        if not request.overrides:
            self._of_objects[id(options)] = (options, plan)  # the object is kept, so that no other gets its id
        return plan


def _stand_apart(asked: list[Word]) -> bool:
    """Tell whether words have nothing in common, so that a request of them is no more than all of them together."""
    names = set()
    gaps: set[int] = set()
    n_gaps = 0
    for word in asked:
        names.add(word.name)
        gaps |= word.gaps
        n_gaps += len(word.gaps)
    return len(names) == len(asked) and len(gaps) == n_gaps and gaps.isdisjoint(NOWHERE)
