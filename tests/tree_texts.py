"""Texts of package files, plain and odd, for `tests.random_tree`. All are bytes, since some are in no good encoding."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

GOOD = ("base", "lib", "tool")
"""Families that every tree has, in versions 1.0, 1.1 and 2.0: what other packages require."""
GOOD_VERSIONS = ("1.0", "1.1", "2.0")

STUDIO_MODULE = "studio_defaults"
STUDIO_SOURCE = b"COMMON = ['lib-1+', 'base']\nSTAMP = 1500000000\n"
"""A module that package files import from package_definition_build_python_paths."""

_RANGES = ("", "-1", "-1.1+", "-1+<2", "==2.0", "-1|2", "-2", "<2", "-1..2")


def requirement(rng: Random) -> str:
    """A requirement that something in the tree can satisfy."""
    sign = rng.choice(("", "", "", "", "", "~", "!"))
    text = rng.choice(("==1.1", "-1.0")) if sign else rng.choice(_RANGES)
    return f"{sign}{rng.choice(GOOD)}{text}"


def requirements(rng: Random, most: int = 2) -> list[str]:
    """Requirements, one for each name at most."""
    made = {text.strip("~!").split("-")[0].split("=")[0].split("<")[0]: text for text in _some(rng, most)}
    return list(made.values())


def _some(rng: Random, most: int) -> list[str]:
    return [requirement(rng) for _ in range(rng.randint(0, most))]


# --------------------------------------------------------------------------------------------------------------- Python
def plain(rng: Random) -> bytes:
    """What rez itself installs: literals, and perhaps functions that no solve runs."""
    lines = [f"requires = {requirements(rng)!r}"]
    if rng.random() < 0.3:
        lines.append(f"variants = {[requirements(rng) for _ in range(rng.randint(1, 3))]!r}")
    if rng.random() < 0.2:
        lines.append(f"build_requires = {requirements(rng)!r}")
    if rng.random() < 0.4:
        lines.append(f"timestamp = {rng.randint(1, 10) * 100_000_000}")
    if rng.random() < 0.3:
        lines.append("def commands():\n    env.PATH.append('{root}/bin')")
    if rng.random() < 0.2:
        lines.append("with scope('config') as c:\n    c.release_packages_path = '/packages'")
    rng.shuffle(lines)
    return ("\n".join(lines) + "\n").encode()


def _computed(rng: Random) -> bytes:
    """Text that rez must run to know what it says."""
    return rng.choice(
        (
            b"@early()\ndef requires():\n    return ['lib-1']\n",
            b"@early()\ndef variants():\n    return [['lib-1'], ['lib-2']]\n",
            b"@early()\ndef requires():\n    return this.tools\ntools = ['base']\n",
            b"import platform\nrequires = ['lib'] if platform.python_version() else []\n",
            b"import os.path as p\nbuild_requires = [p.join('lib')]\n",
            f"from {STUDIO_MODULE} import COMMON, STAMP\nrequires = COMMON\ntimestamp = STAMP\n".encode(),
            b"requires = ['lib-%d' % n for n in (1,)]\n",
            b"_v = '1'\nrequires = [f'lib-{_v}']\n",
            b"requires = ['lib']\nrequires += ['base']\n",
            b"requires = ['lib']\nrequires.append('base')\n",
            b"if True:\n    requires = ['base-2']\nelse:\n    requires = []\n",
            b"try:\n    import no_such_module\nexcept ImportError:\n    requires = ['tool']\n",
            b"def _wanted():\n    return ['base']\nrequires = _wanted()\n",
            b"a, requires = 1, ['lib']\n",
            b"requires = tools = ['lib']\n",
            b"requires: list = ['base']\n",
            b"del_me = 1\ndel del_me\nrequires = ['lib']\n",
            b"@include('helper')\ndef commands():\n    helper.go()\nrequires = ['base']\n",
        )
    )


def _late(rng: Random) -> bytes:
    return rng.choice(
        (
            b"@late()\ndef requires():\n    return ['lib']\n",
            b"@late()\ndef requires():\n    return ['lib-1'] if in_context() else []\nvariants = [['base']]\n",
            b"@late()\ndef build_requires():\n    return ['tool']\nrequires = ['lib']\n",
            b"@late()\ndef tools():\n    return ['x']\nrequires = ['lib']\n",
            b"@include('helper')\n@late()\ndef requires():\n    return helper.wanted()\n",
        )
    )


def _raises(rng: Random) -> bytes:
    return rng.choice(
        (
            b"requires = [\n",
            b"requires = ['lib'\nversion = 1\n",
            b"raise ValueError('not today')\n",
            b"requires = nothing_of_this_name\n",
            b"import no_such_module\n",
            b"@early()\ndef requires():\n    return 1 / 0\n",
            b"\0requires = []\n",
            b"requires = ['caf\xe9']\n",
            b"# -*- coding: no-such-codec -*-\nrequires = []\n",
            b"\tx = 1\n  y = 2\n",
        )
    )


def _bad_requirement(rng: Random) -> bytes:
    return rng.choice(
        (
            b"requires = ['lib-<']\n",
            b"requires = ['no good']\n",
            b"requires = ['lib-1.*']\n",
            b"requires = ['']\n",
            b"variants = [['lib'], ['!.feature']]\n",
            b"build_requires = ['lib-1..']\nrequires = ['lib']\n",
            b"requires = ['lib-1', '!lib-1']\n",
            b"requires = ['lib==1.0', 'lib==2.0']\n",
            b"requires = ['lib-1']\nvariants = [['lib-2'], ['base']]\n",
            b"requires = ['no_such_family']\n",
            b"requires = ['lib-77']\n",
        )
    )


def _spelling(rng: Random) -> bytes:
    """Plain, and written in ways that a careless reader gets wrong."""
    return rng.choice(
        (
            b"requires = ['\\x6cib-1', \"ba\" 'se']\n",
            b"requires = ['l\\u0069b', r'base', u'tool']\n",
            b"requires = ['''lib''', 'ba\\\nse']\n",
            b"requires = [('lib'),]\n",
            b"requires = ['\\N{LATIN SMALL LETTER L}ib']\n",
            b"# -*- coding: latin-1 -*-\ndescription = 'caf\xe9'\nrequires = ['lib']\n",
            b"\xef\xbb\xbfrequires = ['lib']\n",
            b"requires = [\r\n    'lib',\r\n]\r\n",
            b"'''a docstring'''\nrequires = ['lib'] ; tools = []\n",
            b"requires = ['lib']\nrequires = ['base']\n",
            b"description = '\\d'\nrequires = ['lib']\n",
            b"",
            b"\n\n# nothing\n",
            b"requires = ['.feature-1', 'lib@1.0', 'base#1.0']\n",
            b"requires = ['lib-1', 'lib-1.1', '~base-1']\n",
        )
    )


def _types(rng: Random) -> bytes:
    return rng.choice(
        (
            b"requires = ('lib',)\n",
            b"requires = None\n",
            b"requires = 'lib'\n",
            b"requires = [1]\n",
            b"requires = {'lib'}\n",
            b"requires = [None]\n",
            b"requires = [b'lib']\n",
            b"requires = []\nvariants = []\nbuild_requires = []\n",
            b"variants = ['lib']\n",
            b"variants = None\n",
            b"variants = [[]]\n",
            b"variants = [('lib',)]\n",
            b"variants = ()\n",
            b"timestamp = 'now'\nrequires = ['lib']\n",
            b"timestamp = True\nrequires = ['lib']\n",
            b"timestamp = None\nrequires = ['lib']\n",
            b"timestamp = -5\nrequires = ['lib']\n",
            b"timestamp = 0\nrequires = ['lib']\n",
            b"timestamp = 1.5\n",
            b"name = 5\nversion = 7\nrequires = ['lib']\n",
            b"name = 'another'\nversion = '99'\nrequires = ['lib']\n",
            b"format_version = 99\nrequires = ['lib']\n",
        )
    )


KINDS: dict[str, Callable[[Random], bytes]] = {
    "computed": _computed,
    "late": _late,
    "raising": _raises,
    "with a bad requirement": _bad_requirement,
    "oddly spelled": _spelling,
    "of wrong types": _types,
}
"""Ways in which a package.py can be odd."""


def odd(rng: Random) -> bytes:
    """A package.py that is odd in one way."""
    return KINDS[rng.choice(list(KINDS))](rng)


# ----------------------------------------------------------------------------------------------------------------- YAML
def yaml_text(rng: Random) -> bytes:
    """A package.yaml."""
    return rng.choice(
        (
            b"requires:\n- lib-1\n- 'base'\n",
            b"requires: [lib]\nvariants:\n- [base-1]\n- [base-2]\ntimestamp: 1400000000\n",
            b"build_requires: [tool]\ncommands: |\n  env.X = 1\n",
            b"requires: &r [lib]\nbuild_requires: *r\n",
            b"requires: ['\\x6cib', \"\\x6cib-1\"]\n",
            b"requires: lib\n",
            b"requires:\n",
            b"timestamp: 2020-01-01\n",
            b"timestamp: '5'\n",
            b"requires: [1.0]\n",
            b"",
            b"- a\n- list\n",
            b"requires: [\n",
            b"just a text\n",
        )
    )


# ------------------------------------------------------------------------------------------------------------- combined
def combined(rng: Random, extension: str) -> bytes:
    """A file that holds all versions of a family."""
    return (_combined_py if extension == "py" else _combined_yaml)(rng)


def _combined_py(rng: Random) -> bytes:
    return rng.choice(
        (
            (
                b"versions = ['1.0', '1.1', '2.0']\nrequires = ['lib']\n"
                b"version_overrides = {'1.0': {'requires': ['lib']}, '1.1+': {'requires': ['base'], 'timestamp': 7}}\n"
            ),
            b"versions = ['1.0', '2.0']\nvariants = [['lib-1'], ['lib-2']]\n",
            b"versions = ['1.0']\n@late()\ndef requires():\n    return ['lib']\n",
            b"versions = ['1.0', '1-0', '1.0']\nrequires = ['lib']\n",
            b"requires = ['lib']\n",
            b"version = '3.0'\nrequires = ['lib']\n",
            b"versions = []\nrequires = ['lib']\n",
            b"versions = ['1..0']\n",
            b"versions = [1.0]\n",
            b"versions = '1.0'\n",
            b"versions = ['1.0']\nversion_overrides = {'1..': {}}\n",
            b"versions = ['1.0']\nversion_overrides = {'1': 5}\n",
            b"versions = ['1.0']\nversion_overrides = {}\n",
            b"versions = ['1.0', '2.0']\nversion_overrides = {'2': {'requires': ['lib-<']}}\n",
            b"@early()\ndef versions():\n    return ['1.0', '1.5']\n",
            b"versions = [\n",
        )
    )


def _combined_yaml(rng: Random) -> bytes:
    return rng.choice(
        (
            b"versions: ['1.0', '1.1', '2.0']\nrequires: [lib]\nversion_overrides:\n  '1.1+': {requires: [base]}\n",
            b"versions: ['1.0']\nvariants: [[lib-1], [lib-2]]\ntimestamp: 1400000000\n",
            b"requires: [lib]\n",
            b"versions: [1.0]\n",
            b"versions: 1.0\n",
            b"versions: ['1.0'\n",
            b"",
        )
    )
