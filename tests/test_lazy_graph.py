"""Graphs that are made when somebody looks at them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

pytest.importorskip("rez")

from rez.utils.graph_utils import write_compacted
from rez.vendor.pygraph.classes.digraph import digraph

from rer_numba.rez_bridge.lazy_graph import LazyGraph


def a_graph() -> Any:
    graph = digraph()
    graph.add_node("ape", attrs=[("label", "ape-1")])
    graph.add_node("bee")
    graph.add_edge(("ape", "bee"))
    graph.set_edge_label(("ape", "bee"), "wants")
    return graph


class Maker:
    """Counts how often the graph is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        return a_graph()


def test_made_once_and_late() -> None:
    maker = Maker()
    graph = LazyGraph(maker)
    assert isinstance(graph, digraph)
    assert graph is not None
    assert maker.times == 0
    assert graph.nodes() == a_graph().nodes()
    assert graph.has_edge(("ape", "bee"))
    assert maker.times == 1


@pytest.mark.parametrize("dealt_with", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_copies_are_rez_s_own(dealt_with: Any) -> None:
    found = dealt_with(LazyGraph(Maker()))
    assert type(found) is digraph
    assert write_compacted(found) == write_compacted(a_graph())
    assert found == a_graph()


def test_a_pickle_names_nothing_of_ours() -> None:
    """It may be read where rer-numba is not installed: rez keeps graphs in a cache that hosts share."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert b"rer_numba" not in pickle.dumps(LazyGraph(a_graph), protocol)


def test_changed_like_any_other() -> None:
    graph = LazyGraph(Maker())
    graph.add_node("cat")
    assert sorted(graph.nodes()) == ["ape", "bee", "cat"]
    assert len(graph) == 3


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="colour"):
        LazyGraph(Maker()).colour  # noqa: B018


def test_a_maker_that_raises_is_asked_again() -> None:
    maker = Maker()

    def make() -> Any:
        if maker.times < 1:
            maker()
            raise RuntimeError("not yet")
        return maker()

    graph = LazyGraph(make)
    with pytest.raises(RuntimeError, match="not yet"):
        graph.nodes()
    assert len(graph.nodes()) == 2
