"""Methods of plain values, and builtin functions: those that do the same in every process, and end soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from rer_numba.paths.evaluator.operations import checked, format_text, run
from rer_numba.paths.evaluator.values import BASIC, Budget, FileRaisesError, NotEvaluatedError, Special, size_of, words

_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_ITERATORS: tuple[type, ...] = (enumerate, zip, reversed, type(reversed([])), GeneratorType)
_MOST_LETTERS = 2_000
"""How far a text may be padded."""
_LONGEST_NUMBER = 18
"""Digits of a text that is taken for a number."""

METHODS: dict[type, frozenset[str]] = {
    str: words(
        "capitalize casefold center count endswith expandtabs find format index isalnum isalpha isdecimal isdigit"
        " islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace"
        " rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill"
    ),
    list: words("append clear copy count extend index insert pop remove reverse sort"),
    tuple: words("count index"),
    dict: words("clear copy get items keys pop popitem setdefault update values"),
}
"""What can be called on a value."""


def items_of(values: Any, budget: Budget) -> Iterator[Any]:
    """Iterate as Python does. A set is not iterated: its order depends on the process."""
    kind = type(values)
    if kind not in (str, list, tuple, dict, range) and not isinstance(values, (*_VIEWS, *_ITERATORS)):
        if kind in BASIC:
            run(iter, values)  # which raises
        raise NotEvaluatedError(f"iterates over {values.what if isinstance(values, Special) else f'a {kind.__name__}'}")
    return _next_items(iter(values), budget)


def _next_items(iterator: Iterator[Any], budget: Budget) -> Iterator[Any]:
    while True:
        budget.spend(1)
        found = run(next, iterator, _next_items)
        if found is _next_items:
            return
        yield found


def call_method(owner: Any, name: str, arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    """Call a method of a plain value."""
    known = METHODS.get(type(owner))
    if known is None or name not in known:
        if known is not None and not hasattr(owner, name):
            raise FileRaisesError(f"a {type(owner).__name__} has no attribute {name!r}")
        what = owner.what if isinstance(owner, Special) else f"a {type(owner).__name__}"
        raise NotEvaluatedError(f"uses {name} of {what}")
    if type(owner) is str:
        return _text_method(owner, name, arguments, keywords, budget)
    if keywords and name not in ("sort", "update"):
        raise NotEvaluatedError(f"calls {name} with keywords")
    if name == "sort" and keywords.keys() - {"reverse"}:
        raise NotEvaluatedError("sorts by a key")
    if name in ("sort", "index", "count", "remove", "pop"):
        budget.spend(size_of(owner) + size_of(arguments))  # which errors name
    if name == "extend" and arguments and type(arguments[0]) not in (list, tuple):
        arguments = [items_of(arguments[0], budget), *arguments[1:]]  # which grows while the list does, as in Python
    if name == "update" and arguments:
        budget.spend(size_of(arguments[0]))
    budget.spend(len(owner) + sum(len(one) for one in arguments if type(one) in (list, tuple)))
    return run(lambda: getattr(owner, name)(*arguments, **keywords))


def _text_method(text: str, name: str, arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    if name == "format":
        return format_text(text, arguments, keywords, budget)
    if keywords:
        raise NotEvaluatedError(f"calls {name} with keywords")
    if name == "join":
        if len(arguments) == 1:
            arguments = [list(items_of(arguments[0], budget))]
            budget.spend(sum(len(text) + size_of(item) for item in arguments[0]))
        return run(text.join, *arguments)
    for argument in (text, *arguments):
        checked(argument)
        if type(argument) is str and not argument.isascii():
            raise NotEvaluatedError("works on letters beyond ASCII, of which versions of Python know more or fewer")
        if type(argument) is int and abs(argument) > _MOST_LETTERS:
            raise NotEvaluatedError("makes a long text")
    budget.spend(_MOST_LETTERS // 20 + len(text))
    if name in ("center", "ljust", "rjust", "zfill", "expandtabs"):
        budget.spend(_MOST_LETTERS * (1 + text.count("\t")))
    if name == "replace" and len(arguments) > 1 and all(type(one) is str for one in arguments[:2]):
        old, new = arguments[:2]
        budget.spend((text.count(old) if old else len(text) + 1) * len(new))
    return run(getattr(text, name), *arguments)


# ------------------------------------------------------------------------------------------------------------ builtins
def call_builtin(name: str, arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    """Call a builtin function."""
    call = BUILTINS[name]
    if keywords and name not in ("dict", "sorted", "enumerate"):
        raise NotEvaluatedError(f"calls {name} with keywords")
    return call(arguments, keywords, budget)


def _of_items(kind: Callable[..., Any]) -> Callable[..., Any]:
    """A builtin that takes one iterable, or nothing."""

    def call(arguments: list[Any], _keywords: dict[str, Any], budget: Budget) -> Any:
        if len(arguments) != 1:
            return run(kind, *arguments)
        return run(kind, items_of(arguments[0], budget))

    return call


def _length(arguments: list[Any], _keywords: dict[str, Any], _budget: Budget) -> Any:
    for value in arguments:
        if type(value) not in (set, range) and not isinstance(value, _VIEWS):
            checked(value)
    return run(len, *arguments)


def _text(arguments: list[Any], _keywords: dict[str, Any], budget: Budget) -> Any:
    budget.spend(sum(map(size_of, arguments)))
    if len(arguments) > 1:
        raise NotEvaluatedError("decodes a text")
    return run(str, *arguments)


def _number(kind: Callable[..., Any]) -> Callable[..., Any]:
    def call(arguments: list[Any], _keywords: dict[str, Any], _budget: Budget) -> Any:
        for value in arguments:
            checked(value)
            if type(value) is str and not (value.isascii() and len(value) <= _LONGEST_NUMBER):
                raise NotEvaluatedError("reads a long number")
        if len(arguments) > 1:
            raise NotEvaluatedError("reads a number with a base")
        return run(kind, *arguments)

    return call


def _plain(kind: Callable[..., Any]) -> Callable[..., Any]:
    def call(arguments: list[Any], _keywords: dict[str, Any], _budget: Budget) -> Any:
        return run(kind, *map(checked, arguments))

    return call


def _sorted(arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    if keywords.keys() - {"reverse"} or len(arguments) != 1:
        raise NotEvaluatedError("sorts by a key")
    given = arguments[0]
    if type(given) is set and len({type(one) for one in given}) == 1 and type(next(iter(given))) in (str, int):
        items = list(given)  # whatever their order: no two are equal, and all are compared alike
    else:
        items = list(items_of(given, budget))
    budget.spend(size_of(items))
    return run(lambda: sorted(items, **keywords))


def _extreme(kind: Callable[..., Any]) -> Callable[..., Any]:
    def call(arguments: list[Any], _keywords: dict[str, Any], budget: Budget) -> Any:
        items = list(items_of(arguments[0], budget)) if len(arguments) == 1 else arguments
        budget.spend(size_of(items))
        return run(kind, items)

    return call


def _sum(arguments: list[Any], _keywords: dict[str, Any], budget: Budget) -> Any:
    if len(arguments) != 1:
        raise NotEvaluatedError("adds up from a start")
    items = list(items_of(arguments[0], budget))
    if not all(type(item) in (int, float, bool) for item in items):
        raise NotEvaluatedError("adds up what is no number")
    return run(sum, items)


def _iterator(kind: Callable[..., Any]) -> Callable[..., Any]:
    def call(arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
        if kind is enumerate:
            first, *rest = arguments or [None]
            return run(lambda: enumerate(items_of(first, budget), *map(checked, rest), **keywords))
        return run(kind, *(items_of(one, budget) for one in arguments))

    return call


def _range(arguments: list[Any], _keywords: dict[str, Any], budget: Budget) -> Any:
    found = run(range, *map(checked, arguments))
    budget.spend(run(len, found))
    return found


def _reversed(arguments: list[Any], _keywords: dict[str, Any], _budget: Budget) -> Any:
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple, str, range):
        raise NotEvaluatedError("reverses what is no list")
    return reversed(arguments[0])


def _dict(arguments: list[Any], keywords: dict[str, Any], budget: Budget) -> Any:
    if len(arguments) == 1 and type(arguments[0]) is not dict:
        pairs = [tuple(items_of(pair, budget)) for pair in items_of(arguments[0], budget)]
        return run(lambda: dict(pairs, **keywords))
    return run(lambda: dict(*map(checked, arguments), **keywords))


BUILTINS: dict[str, Callable[[list[Any], dict[str, Any], Budget], Any]] = {
    "abs": _plain(abs), "all": _of_items(all), "any": _of_items(any), "bool": _plain(bool), "dict": _dict,
    "enumerate": _iterator(enumerate), "float": _number(float), "int": _number(int), "len": _length,
    "list": _of_items(list), "max": _extreme(max), "min": _extreme(min), "range": _range, "reversed": _reversed,
    "set": _of_items(set), "sorted": _sorted, "str": _text, "sum": _sum, "tuple": _of_items(tuple),
    "zip": _iterator(zip),
}  # fmt: skip
"""Builtin functions that can be called."""
