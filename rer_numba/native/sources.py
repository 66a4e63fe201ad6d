"""The source files that machine code is made of, listed once: an edit to one of them asks for new code.

A test follows the imports of ``kernels.py`` and says which name is missing.
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
"""File names relative to this package."""
