"""How a version range is spelled: one part of a range text -> the versions at its two ends.

A range text is parts joined by '|'. A part is versions with signs between them. To read a part, take its versions out
and put 'v' where they stood: '1.2+<2' becomes the *shape* 'v+<v'. A finite table holds every shape that rez accepts
and says what it means.

Invariants
----------
- A shape is spelled with 'v', the signs and nothing else: the pattern of a version swallows every letter, digit and
  underscore, so a 'v' in a shape always stands for a version, and other text never makes a shape of the table.
- The table is the language of rez's parser, odd corners included: tests/test_versions.py compares every sequence of
  signs and versions up to a length.
- This module knows text only; what a version is worth is the business of rer_numba.versions.
"""

from __future__ import annotations

import re

# (lower version, cut after it?, upper version or None for no upper end, cut after it?)
Ends = tuple[str, bool, "str | None", bool]

# The same with places in the list of the part's versions, to which the empty version is added at the end.
_Rule = tuple[int, bool, "int | None", bool]
_EMPTY = -1

_VERSION = re.compile(r"([0-9A-Za-z_]+(?:[.-][0-9A-Za-z_]+)*)")

# What comes after the last version inside 'v': rez's "next" version is the text with an underscore behind.
NEXT_SUFFIX = "_"


class RangeSyntaxError(ValueError):
    """A part of a range text has a shape that rez does not accept."""


def parse_part(part: str) -> Ends | None:
    """Read one part of a range text.

    Ports: rez.version._version._VersionRangeParser (rez 3.4.0), the grammar.

    Parameters
    ----------
    part : str
        The text between two '|', not empty.

    Returns
    -------
    Ends or None
        The two ends as text. None for a lone newline, which is accepted and means nothing at all.

    Raises
    ------
    RangeSyntaxError
        The shape is not in the table.
    """
    # REZ-QUIRK: one newline at the end of any part is ignored (test_newlines).
    pieces = _VERSION.split(part[:-1] if part[-1] == "\n" else part)
    shape = "v".join(pieces[::2])
    if shape == "v":
        return pieces[1], False, pieces[1] + NEXT_SUFFIX, False
    if not shape:
        return None
    rule = _SHAPES.get(shape)
    if rule is None:
        raise RangeSyntaxError(f"Syntax error in version range '{part}'")
    versions = [*pieces[1::2], ""]
    lower, lower_after, upper, upper_after = rule
    return versions[lower], lower_after, None if upper is None else versions[upper], upper_after


def _is_strict(half: str, sign: str) -> bool:
    return half.startswith(sign) and not half.startswith(sign + "=")


def _rule(lower: str, upper: str, lower_first: bool = True) -> _Rule:
    """Say what two halves of a shape mean together.

    REZ-QUIRK: only a '>' makes a lower end exclusive and only a '<' an upper one, whatever else stands there. So
    '<4,<3' is '3+<4' and '4+,>3' is '>3<=4' (test_odd_shapes).
    """
    first = lower if lower_first else upper
    second_place = 1 if "v" in first else 0
    lower_place = 0 if lower_first else second_place
    upper_place = second_place if lower_first else 0
    return (
        lower_place if "v" in lower else _EMPTY,
        _is_strict(lower, ">"),
        upper_place if "v" in upper else _EMPTY,
        not _is_strict(upper, "<"),
    )


def _with_commas(halves: tuple[str, ...], optional: bool) -> list[str]:
    """List the first halves of a shape with the comma that may (must, if not `optional`) follow a version."""
    bare = [half for half in halves if optional or "v" not in half]
    return bare + [half + "," for half in halves if "v" in half]


def _all_shapes() -> dict[str, _Rule]:
    """Make the table. Where a shape can be read in two ways, rez's first way is entered first and stays."""
    lowers = ("v+", "+", ">=v", ">=", ">v", ">")
    uppers = ("<v", "<=v", "<=")
    shapes: dict[str, _Rule] = {"==v": (0, False, 0, True), "==": (_EMPTY, False, _EMPTY, True)}
    for span in ("v..v", "v..", "..v", ".."):
        lower, upper = span.split("..")
        shapes[span] = _rule(lower, upper)
    for lower in lowers:
        shapes[lower] = (0 if "v" in lower else _EMPTY, _is_strict(lower, ">"), None, True)
    for upper in uppers:
        shapes[upper] = _rule("", upper)
    for lower in _with_commas((*lowers, "v"), optional=True):
        for upper in uppers:
            shapes.setdefault(lower + upper, _rule(lower, upper))
    for upper in _with_commas(("<v", "<", "<=v", "<=", "v+", "+", "v"), optional=False):
        for lower in (">v", ">", ">=v", ">=", "<v"):
            shapes.setdefault(upper + lower, _rule(lower, upper, lower_first=False))
    return shapes


_SHAPES = _all_shapes()
