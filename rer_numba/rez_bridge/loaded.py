"""What the rez is like that this process has loaded."""

from __future__ import annotations

import os

import rez

from rer_numba.rez_versions import Traits, traits_of


def loaded_traits() -> Traits | None:
    """What that rez is like; None if it is not known, so that rez has to solve by itself."""
    return traits_of(rez.__version__, os.path.dirname(rez.__file__))
