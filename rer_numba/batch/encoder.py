"""Requests into blocks of rows, by the thread that reads the requests.

A request that was met before is not encoded again, and neither is a text. What cannot be solved at all (a text that is
no request, options that cannot be used) becomes a row with an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rer_numba import state
from rer_numba.batch.blocks import ALONE, Block
from rer_numba.batch.plans import MOST_WORDS, NOWHERE, Plan, Word, key_of
from rer_numba.batch.request import Request
from rer_numba.errors import SolveLimitError, text_of
from rer_numba.requests import TimeIsUpError, parse_requests
from rer_numba.requirements import Requirement

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.repository import Repository
    from rer_numba.stepping import Limits

_TEXT = {str}
_NO_MATTER = 0.1
"""The part of a time limit that reading a request may take beside it."""

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
    limits : Limits, optional
        Of each solve, to which the reading of its request belongs.

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

    def __init__(
        self, repository: Repository, options: SolveOptions, reuse: bool, limits: Limits | None = None
    ) -> None:
        self._limits = limits
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
        try:
            plan, texts, is_text = self._read(item)
        except Exception as error:  # noqa: BLE001 - whatever the options or the iterable of one request raise
            return self._place_error(self._plan, error)
        found = plan.memory.get(texts) if is_text else None
        return found or self._place_new(plan, texts, is_text)

    def _read(self, item: Any) -> tuple[Plan, tuple[Any, ...], bool]:
        """The plan of a request, what it holds, and whether these are texts, which are made plain ones then."""
        plan = self._plan
        if isinstance(item, Request):
            plan = self._plan_of(item)
            item = item.requests
        if isinstance(item, (str, bytes)):
            raise TypeError(f"a request is a list of texts, not the text {item!r}")
        texts = tuple(item)
        kinds = {*map(type, texts)}
        if not kinds - _TEXT:
            return plan, texts, True
        if any(issubclass(kind, str) for kind in kinds):  # which may hash and compare as they like
            texts = tuple([str.__str__(text) if issubclass(type(text), str) else text for text in texts])
        return plan, texts, all(type(text) is str for text in texts)

    def _place_new(self, plan: Plan, texts: tuple[Any, ...], is_text: bool) -> Place:
        if plan.vocabulary.is_full():
            self._seal(plan)
            plan.renew_vocabulary()
            plan.memory.clear()
        limits = None if self._limits is None else self._limits.begun()
        block = plan.block or self._open(plan)
        try:
            place = block, self._write(plan, block, texts, limits)
        except TimeIsUpError:
            place = block, self._write_out_of_time(block, texts)
        except Exception as error:  # noqa: BLE001 - whatever an object in the request raises
            return self._place_error(plan, error)
        if self._reuse and is_text:
            if len(plan.memory) >= _REMEMBERED:
                plan.memory.clear()
            plan.memory[texts] = place
        if block.n_rows >= self.rows_wanted:
            self._seal(plan)
        return place

    def _write(self, plan: Plan, block: Block, texts: tuple[Any, ...], limits: Limits | None) -> int:
        """Write a request into a block; returns its row. Nothing is written if it raises."""
        look = None if limits is None or limits.end is None else limits.look
        known = plan.vocabulary.words.get
        given = [(known(text) if type(text) is str else None) or plan.vocabulary.learn(text, look) for text in texts]
        asked = given + plan.implicit if plan.implicit else given
        numbers = [word.number for word in given]
        if plan.goes_alone:
            return block.add_preset(numbers, ALONE)
        if not _took_long(limits) and _stand_apart(asked):
            return block.add(given, asked)
        merged = parse_requests([word.requirement for word in asked], look=look)
        if merged.conflict:
            return block.add_preset(numbers, state.FAILED)
        if _took_long(limits):  # the rest of its time is less than that of other rows
            assert limits is not None
            row = block.add_preset(numbers, ALONE, limits.time_limit - limits.left())
            block.keep(row, merged)
            return row
        try:
            request = plan.reader.encode(merged.requirements, look)
        except SolveLimitError:
            return block.add_preset(numbers, ALONE)  # which ends in the same error, as a result
        return block.add_encoded(given, request)

    @staticmethod
    def _write_out_of_time(block: Block, texts: tuple[Any, ...]) -> int:
        """Write a request that takes longer to read than it may; returns its row."""
        given = [text for text in texts if issubclass(type(text), (str, Requirement))]
        return block.add_preset([block.vocabulary.note(one) for one in given], state.OUT_OF_TIME)

    def _place_error(self, plan: Plan, error: Exception) -> Place:
        block = plan.block or self._open(plan)
        row = block.add_preset([], state.ERROR)
        block.errors[row] = (self.intern(type(error).__name__), self.intern(text_of(error)))
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
        """The plan of a request with options of its own. Raises when they cannot be used."""
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


def _took_long(limits: Limits | None) -> bool:
    """Whether reading a request took so much of its time that the rest cannot pass for all of it."""
    return limits is not None and limits.end is not None and limits.left() < limits.time_limit * (1 - _NO_MATTER)


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
