"""A resolve graph that is made when somebody looks at it.

rez's Resolver asks every solver for its graph, which takes longer than most solves of ours, and few contexts are ever
asked for theirs. So it gets one that is empty until an attribute of it is read. It pickles and copies as rez's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rez.vendor.pygraph.classes.digraph import digraph

from rer_numba.forking import Lock

_making = Lock()
_new: Callable[[], Any] = digraph


class LazyGraph(digraph):
    """rez's digraph, made late.

    Parameters
    ----------
    make : callable
        Gives the graph; called once, when it is needed.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make  # all attributes of a digraph are missing until then

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copy and pickle ask for is not there
            raise AttributeError(name)
        with _making:
            make = vars(self).get("_make")
            if make is not None:
                made = make()
                vars(self).update(vars(made), _make=None)
        if name not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return vars(self)[name]

    def __reduce__(self) -> tuple[Any, ...]:
        # nothing of ours is named: hosts that share a resolve cache may not have rer-numba
        return digraph, (), {name: getattr(self, name) for name in vars(_new())}
