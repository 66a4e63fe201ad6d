"""Packages from a JSON file: read whole, or refused with everything that is wrong with it."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest

from rer_numba import cli
from rer_numba.json_packages import JsonPackagesError, read_json

Capture = pytest.CaptureFixture[str]


def test_json_sources(tmp_path: Path) -> None:
    items = [
        {"name": "b", "version": "2", "requires": ["a"], "uri": "here", "description": "not looked at"},
        {"name": "a", "version": None, "requires": None, "variants": [], "timestamp": 7},
        {"name": "b", "version": "1", "variants": [["a"], []], "build_requires": ["c"]},
    ]
    (tmp_path / "list.json").write_text(json.dumps(items))
    (tmp_path / "object.json.gz").write_bytes(gzip.compress(json.dumps({"packages": items}).encode()))
    for name in ("list.json", "object.json.gz"):
        found = read_json(str(tmp_path / name))
        assert [(p.name, p.version, p.requires, p.uri) for p in found] == [
            ("b", "2", ["a"], "here"),
            ("a", "", [], None),
            ("b", "1", [], None),
        ]
        assert [p.timestamp for p in found] == [None, 7, None]
        assert (found[2].variants, found[2].build_requires) == ([["a"], []], ["c"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"{}", "has no list of packages"),
        (b"7", "has no list of packages"),
        (b"[7]", "package 0: must be an object, not 7"),
        (b'[{"version": "1"}]', "package 0: has no name"),
        (b'[{"name": 1}]', "package 0: name must be a text"),
        (b'[{"name": "a", "version": 1.0}]', "package 0 (a): version must be a text, not 1.0"),
        (b'[{"name": "a", "requires": "b"}]', "package 0 (a): requires must be a list of texts"),
        (b'[{"name": "a", "requires": ["\\ud800"]}]', "not valid Unicode"),
        (b'[{"name": "a", "uri": "\\ud800"}]', "uri holds '\\ud800', which is not valid Unicode"),
        (b'[{"name": "a", "timestamp": 1e3}]', "package 0 (a): timestamp must be"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_bad_json(content: bytes, message: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    code = cli.main(["encode", str(path), "-o", str(tmp_path / "x.rer")])
    err = capsys.readouterr().err
    assert code == cli.BAD_INPUT and message in err and "it must be JSON" in err
    assert err.count("\n") == 1 and err.startswith(f"rer-numba: {path}: ")
    (tmp_path / "bad.json.gz").write_bytes(content)
    with pytest.raises(JsonPackagesError, match="is not JSON"):
        read_json(str(tmp_path / "bad.json.gz"))


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('[{"name": "a"}, 7, {"name": "b", "version": 2}]')
    with pytest.raises(JsonPackagesError) as caught:
        read_json(str(path))
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.problems == ["package 1: must be an object, not 7", "package 2 (b): version must be a text, not 2"]
    head, *lines = str(error).splitlines()
    assert head.startswith(f"{path}: 2 packages cannot be read; it must be JSON")
    assert [line.strip() for line in lines] == error.problems
