"""The source files that machine code is made of, listed once for each image: an edit to one of them asks for new code.

A test follows the imports of each entry and says which name is missing.
"""

KERNEL_SOURCES: tuple[str, ...] = (
    "_jit.py",
    "calling_off.py",
    "extraction.py",
    "finalise.py",
    "kernels.py",
    "lookup.py",
    "policy_arrays.py",
    "ranges.py",
    "reduction.py",
    "rows.py",
    "schema.py",
    "scopes.py",
    "splitting.py",
    "state.py",
)
"""Of the solver: paths relative to this package."""

COMPOSING_SOURCES: tuple[str, ...] = (
    "_jit.py",
    "composing/arranging.py",
    "composing/ending.py",
    "composing/folders.py",
    "composing/kernels.py",
    "composing/marking.py",
    "composing/requiring.py",
    "composing/select.py",
    "composing/sorting.py",
    "composing/state.py",
    "composing/texts.py",
    "composing/writing.py",
    "schema.py",
)
"""Of what puts tables together."""

CHECKING_SOURCES: tuple[str, ...] = (
    "_jit.py",
    "checking/columns.py",
    "checking/facts.py",
    "checking/kernels.py",
    "checking/masks.py",
    "checking/requiring.py",
    "checking/state.py",
    "checking/strings.py",
    "schema.py",
)
"""Of what checks columns."""
