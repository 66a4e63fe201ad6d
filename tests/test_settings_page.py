"""docs/settings.md lists every setting that rez has, and proves what it says of those that act on a solve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rez
from rez.config import config_schema
from rez.plugin_managers import plugin_manager

from rer_numba.rez_bridge.configured import SETTINGS
from rer_numba.rez_versions import NEWEST
from tests.process import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
KINDS = {"a solve", "discovery", "the resolve cache", "presentation", "not ours"}


def rows() -> dict[str, list[str]]:
    """Setting -> the other cells of its row."""
    found = {}
    for line in PAGE.splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells and cells[0] in KINDS:
            assert name not in found, f"{name} has two rows"
            found[name] = cells
    return found


def test_every_setting_of_rez_has_a_row() -> None:
    if rez.__version__ != NEWEST:
        pytest.skip(f"the page lists the settings of rez {NEWEST}")
    ours = rows()
    theirs = {name for name in config_schema._schema if isinstance(name, str)}
    plugin = set(plugin_manager.get_plugin_config_data("package_repository")["filesystem"])
    assert len(theirs) == 145
    assert set(ours) == theirs | plugin
    assert [name for name in ours if name in theirs] == sorted(theirs)
    assert all(cells[1] for cells in ours.values())


def test_what_acts_on_a_solve_is_proved() -> None:
    """By a test that exists (test_named_tests_exist looks at the rest), and it is what `from_rez` takes."""
    solve = {name: cells for name, cells in rows().items() if cells[0] == "a solve"}
    assert set(solve) == {*SETTINGS, "platform_map"}  # the last one acts through implicit_packages
    for name, (_, _, test) in solve.items():
        found = re.fullmatch(r"`(tests/\w+\.py)::(\w+)`", test)
        assert found, name
        assert f"def {found[2]}(" in Path(ROOT, found[1]).read_text(encoding="utf-8"), test
