"""Texts of package files that compute what they say, made at random: what the evaluator must get right, or refuse.

Expressions are drawn by the kind of value they mostly have, from variables of the file, literals, operators, methods,
builtins, comprehensions and calls; now and then the kind is another one, so that files also raise errors.
"""

from __future__ import annotations

import random
import re

_TEXTS = ["'a'", "'lib-1'", "'b-2+<3'", "''", "'x y'", "'A{}b'", "'%s-%s'", "'%d'", "'é'", "'-'", "'1.2.3'", "name"]
_NUMBERS = ["0", "1", "2", "-1", "3", "True", "10", "1.5", "10**2", "len(name)"]
_NAMES = ["a", "b", "c", "requires", "variants", "build_requires", "items", "max", "d"]
_NAMES_OF = {
    "text": ["name"], "number": ["c"], "list": ["a", "b", "requires", "build_requires", "items"], "lists": ["variants"],
    "dict": ["d"], "truth": ["c", "a", "name"],
}  # fmt: skip
_KINDS = ["text", "number", "list", "dict", "truth", "lists"]
_FUNCTIONS = [
    "def f(x, y='lib'):\n    return x + y",
    "def f(x=1):\n    if x:\n        return [x]\n    return 'no'",
    "def f(*x):\n    return x",
    "def f(x):\n    for y in x:\n        if y:\n            return y",
    "def f(x):\n    a = 5\n    return [x + str(y) for y in range(3)]",
    "def f(x):\n    b = a\n    a = 1\n    return b",
    "def f(x, *, y=[]):\n    y.append(x)\n    return y",
    "def f(x):\n    return f(x)",
    "def f(x):\n    import os, json\n    return [x, 'os']",
    "def f(x):\n    import os\n    return os.sep",
    "def f(x):\n    global a\n    a = x",
    "def f(x):\n    return [requires, x]",
    "def f(x):\n    yield x",
    "def f(x):\n    return lambda: x",
    "def f(x: undefined = 1) -> other:\n    y: int = 2\n    return x",
    "def f(x):\n    while x:\n        x -= 1\n    else:\n        return 'end'\n    return x",
    "def f(x):\n    return [y for y in x if y for y in [y, y]]",
    "def f(x):\n    def g():\n        return 1\n    return g()",
    "def f(x, y=a):\n    return y",
]
_EARLY = [
    "return ['lib-1']", "return requires", "return this.a", "return [this.name]", "return this.requires + ['x']",
    "return building", "a.append('z')\n    return a", "import platform\n    return ['x']", "return f('q')",
    "return undefined", "pass", "return this.missing", "return {'a': 1}", "return {1: 2}", "return f",
    "import os\n    return os.environ.get('HOME')",
]  # fmt: skip
_ODD = [
    "__x = 'q'\nrequires = [__x]", "__a = a", "__x = 1\n@early()\ndef __y():\n    return __x",
    "import os", "import platform, sys", "import os.path", "import os.path as p", "from os import path",
    "from os.path import join, dirname", "from rez.utils.lint_helper import env, building",
    "from rez.utils.lint_helper import scope", "from rez.utils.lint_helper import early as e",
    "from rez.utils.lint_helper import requires", "from __future__ import annotations", "import nothing_of_this_name",
    "import os as requires", "from typing import List", "a: int = 3", "a: 'x'", "requires: list = ['a']",
    "requires = {'a', 'b'}", "requires = list({'a', 'b'})", "requires = sorted({'b', 'a'})", "a = {1, 2} | {3}",
    "a = b = ['s']", "a, b = b, a", "a = map(str, b)", "requires = list(map(str, b))", "a, b = ['1', '2'], ['3']",
    "(a, (b, c)) = ['x', ['y'], 'z'][:2], 1", "[a, b] = 1, 2", "requires.append('late-1')", "requires += a",
    "requires += 'ab'", "a *= 2", "a = a * 3", "variants[0] += ['q']", "variants[0] = ['r']",
    "variants.append(requires)", "requires.extend(requires)", "requires.sort()",
    "requires.extend(x for x in requires)", "requires.reverse()", "d = {}\nd['a'] = d",
    "d = {'a': {'b': {}}}\nd[1] = 2", "d = {'x': 1}\nd.update(y=2)\na = list(d.items())", "a = d.keys()",
    "requires = d.keys()", "requires = (x for x in 'ab')", "a = range(10**9)", "a = 'x' * 10**9", "a = [0] * 10**8",
    "a = '%1000000000d' % 1", "a = f'{1:1000000000}'", "a = 10 ** 10 ** 10", "a = 1 << 10**9",
    "a = '{:>{}}'.format(1, 10**9)", "while True:\n    pass", "a = 1\nwhile a: a += 1",
    "a = [[]]\nfor x in range(40):\n    a = [a, a]", "a = 'x'\nfor x in range(40):\n    a += a",
    "for x in a:\n    a.append(x)", "for x in d:\n    d[x + 'q'] = 1", "a = str(len)", "a = [print]", "a = str(f)",
    "a = lambda x: x", "a = (x := 5)", "a = print('x', end='')", "a = input", "a = open('/etc/hostname')",
    "a = id('x')", "a = hash('x')", "a = ().__class__", "a = ''.join", "a = 'x'.format",
    "a = '{0.__class__}'.format(1)", "a = '{0[0]}'.format(b)", "a = ['x'] is ['x']", "a = 'a' is 'a'",
    "a = a is None", "a = None is not b", "assert a", "assert False", "raise ValueError('x')", "del a",
    "try:\n    a = 1\nexcept Exception as e:\n    b = 2", "class A:\n    pass", "global a", "a = [*b, 1]",
    "a = {**d}", "f(*a)", "f(**d)", "f('x', y='z')", "f()", "f(1, 2, 3)", "f(y=1, y2=2)", "requires = f",
    "requires = f('n')", "variants = [f('m')]", "a = __name__", "if __name__ == '__main__':\n    requires = ['main']",
    "a = __file__", "a = a if a else b", "a = not a",
    "if a:\n    def commands():\n        pass\n        # c\nelse:\n    requires = ['z']",
    "if a:\n    @late()\n    def requires():\n        return []",
    "for x in 'ab':\n    @early()\n    def tools():\n        return x",
    "for x in range(3):\n    if x == 1: continue\n    if x == 2: break\nelse:\n    a = 9",
    "with scope('config') as c:\n    c.x = 1", "with scope('config') as c:\n    c.x = a",
    "with scope('a'):\n    b = 7", "@early()\ndef commands():\n    return 'x'",
    "@early()\ndef preprocess():\n    return None", "@late()\ndef requires():\n    return []", "early = 1",
    "format_version = '2'", "format_version = 1 + 1", "timestamp = 10 * 3", "timestamp = int('12')",
    "timestamp = float('1')", "a = int('9' * 5000)", "a = str(0x" + "f" * 4000 + ")",
    "a = 0x" + "f" * 4000 + "\nb = '%d' % a", "a = True & 1", "a = ~True", "a = -'x'", "a = +True",
    "a = 1 if 2 else 3", "a = 5 // 0", "a = 1 % 0", "a = 7 @ 2", "a = 2 ** 3", "a = d['nothing']", "a = b[100]",
    "a = b[::2]", "a = b[1:'x']", "a = max([])", "a = zip('ab', [1, 2])", "a = list(zip('ab', [1, 2]))",
    "a = dict(zip('ab', [1, 2]))", "a = dict(a=1, **{})", "a = dict([('a', 1)], b=2)", "a = dict([{'x', 'y'}])",
    "a = {}.fromkeys('ab')", "a = list(enumerate('ab', start=1))", "a = isinstance(a, (str, list))",
    "a = isinstance(a, int)", "a = type(a)", "a = repr(a)", "a = sorted(['b', 'a'], reverse=True)",
    "a = sorted('ba', key=len)", "a = sum([1, 2.5])", "a = sum([[1]], [])", "a = any(x for x in b)",
    "a = all(x.pop() for x in [[1], [0], [2]])", "a = list(reversed([1, 2]))", "a = tuple('ab')", "a = set()",
    "a = {x for x in 'ab'}", "a = {x: y for x, y in [('a', 1)]}", "a = {1: 2}", "tests = {'a': f}",
    "tests = {'a': ['b'] + ['c']}", "a = (x for x in 5)", "a = [x for x in 5]",
    "a = [y for x in [[1], [2]] for y in x if y > 1]", "a = [x for x in b if x in a]",
    "x = 3\na = [x for x in range(2)]", "a = 'a' in 'abc'", "a = 1 in 'abc'", "a = 'é'.upper()",
    "a = 'a'.ljust(10**9)", "a = 'a'.replace('', 'x' * 1000)", "a = 'aB'.swapcase()", "a = '1,2'.split(',')",
    "a = 'abc'.partition('b')", "a = ','.join(['a', 1])", "a = '{}-{x}'.format(1, x=2)", "a = '{:05d}'.format(3)",
    "a = '{:n}'.format(3)", "a = '%(x)s' % {'x': 1}", "a = '%s' % ('a', 'b')", "a = '%c' % 65", "a = '%*d' % (3, 1)",
    "a = f'{name!r:>6}'", "a = f'{1.5:.2f}'", "a = f'{name}{{}}'", "a = 'x' 'y'", "a = b'x' + b'y'", "a = 1j * 2",
    "a = ... or 1", "a = None or []", "a = {} or {'x'}", "a = open", "pass", "'text'", "a", "undefined", "name.x = 1",
    "requires = [n for n in ['x', 'y'] if n != 'x']", "max = ['m']", "d = dict",
    "requires = ['lib-' + v for v in ('1', '2')]", "variants = [['p-%s' % v] for v in range(3)]",
    "variants = [[x, y] for x in 'ab' for y in 'cd']",
]  # fmt: skip


_TEMPLATES = {
    "text": [
        "<text> + <text>", "'%s' % <text>", "'%s-%s' % (<text>, <number>)", "'{}'.format(<text>)", "<text>.upper()",
        "<text>.strip()", "<text>.title()", "','.join(<list>)", "str(<number>)", "(<text> if <truth> else <text>)",
        "<text> * 2", "<text>[0]", "<text>[-1]", "<text>[1:]", "<text>[::2]", "<text>.replace(<text>, <text>)",
        "f'{name}-{len(name)}'", "f(<text>)", "<list>[<number>]", "<dict>.get(<text>, 'none')", "str(<list>)",
    ],
    "number": [
        "<number> + <number>", "<number> - <number>", "<number> * <number>", "<number> // <number>",
        "<number> % <number>", "<number> / <number>", "len(<list>)", "len(<text>)", "int(<number>)", "-<number>",
        "<text>.count(<text>)", "max(<number>, <number>)", "abs(<number>)", "sum([<number>, 1])",
    ],
    "list": [
        "[<text>, <text>]", "<list> + <list>", "[x for x in <list>]", "['p-' + x for x in <list> if <truth>]",
        "list(<list>)", "sorted(<list>)", "<text>.split('-')", "<list>[1:]", "<list> * 2", "list(<dict>)",
        "[*<list>, <text>]", "<list>.copy()", "[f'n-{x}' for x in range(3)]", "(<list> or <list>)",
        "list(x for x in <list>)", "f(<text>)",
    ],
    "lists": [
        "[<list>, <list>]", "[[x] for x in <list>]", "<lists> + [<list>]", "[<list> + [x] for x in <list>]",
        "<lists>[:2]",
    ],
    "dict": [
        "{<text>: <number>}", "dict(a=<text>)", "{x: 1 for x in <list>}", "{**<dict>, 'z': <list>}", "<dict>.copy()",
    ],
    "truth": [
        "<number> < <number>", "<number> == <number>", "<number> != <number>", "not <truth>", "<text> in <list>",
        "<truth> and <truth>", "<text> == <text>", "<text>.startswith(<text>)", "any(x == 'a' for x in <list>)",
        "bool(<list>)", "0 < <number> < 9", "isinstance(<text>, str)", "<text> or <truth>", "<list> >= <list>",
    ],
}  # fmt: skip


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def expression(self, kind: str, depth: int = 0) -> str:
        rng = self.rng
        if rng.random() < 0.02:
            kind = rng.choice(_KINDS)
        if depth > 2 or rng.random() < 0.25:
            return self._leaf(kind)

        template = rng.choice(_TEMPLATES[kind])
        return f"({re.sub('<([a-z]+)>', lambda found: self.expression(found[1], depth + 1), template)})"

    def _leaf(self, kind: str) -> str:
        rng = self.rng
        if rng.random() < 0.35:
            return rng.choice(_NAMES if rng.random() < 0.05 else _NAMES_OF[kind])
        leaves: dict[str, list[str]] = {
            "text": _TEXTS, "number": _NUMBERS, "list": ["[]", "['a']", "['b-1', 'c']", "['a', 'a']", "('t', 'u')"],
            "lists": ["[]", "[['a']]", "[['a'], ['b', 'c']]"], "dict": ["{}", "{'a': 1}", "{'a': 'b', 'c': ['d']}"],
            "truth": ["True", "False", "None", "1", "''"],
        }  # fmt: skip
        return rng.choice(leaves[kind])

    def assignment(self) -> str:
        """Assign a value to a variable, mostly of its own kind."""
        kind = self.rng.choice(_KINDS)
        return f"{self.rng.choice(_NAMES_OF[kind])} = {self.expression(kind)}"

    def statement(self, odd: float, depth: int = 0) -> str:
        rng = self.rng
        if rng.random() < odd:
            return rng.choice(_ODD)
        kind = rng.randrange(10)
        if kind < 3:
            key = rng.choice(["requires", "build_requires"])
            return f"{key} {rng.choice(['=', '=', '=', '+='])} {self.expression('list')}"
        if kind == 3:
            return f"variants = {self.expression('lists')}"
        if kind < 6:
            return self.assignment()
        if kind == 6:
            return (
                rng.choice(["requires", "variants", "a"]) + f".append({self.expression(rng.choice(['text', 'list']))})"
            )
        if depth > 1:
            return "pass"
        body = "\n".join("    " + line for line in self.statement(odd, depth + 1).split("\n"))
        if kind == 7:
            other = "\n".join("    " + line for line in self.statement(odd, depth + 1).split("\n"))
            return f"if {self.expression('truth')}:\n{body}\nelse:\n{other}"
        if kind == 8:
            return f"for x in {self.expression('list')}:\n{body}"
        key = rng.choice(["requires", "variants", "tools", "a", "build_requires"])
        return f"@early()\ndef {key}():\n    {rng.choice(_EARLY)}" if rng.random() < 0.5 else rng.choice(_FUNCTIONS)


def computed_text(rng: random.Random) -> bytes:
    """The bytes of one package.py that computes something."""
    odd = rng.choice([0.0, 0.05, 0.2, 0.6])
    maker = _Maker(rng)
    start = ["name = 'app'"]
    if rng.random() < 0.9:
        start += [
            "requires = ['a-1']",
            "variants = [['v']]",
            "a = ['x']",
            "b = ['1', '2']",
            "d = {'k': 'w'}",
            "c = 2",
            "items = ['i']",
            "build_requires = []",
        ]
        start.append(rng.choice(_FUNCTIONS))
    lines = [maker.statement(odd) for _ in range(rng.randrange(1, 7))]
    return "\n".join([*start, *lines, ""]).encode()
