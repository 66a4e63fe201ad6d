"""Texts of package files, plain and odd, made at random: for what is read without rez, and for what rez is asked.

`package_text` strings statements together. Most are what rez writes, or what people write; the rest are those that a
reader of literals could get wrong: computed values, names that rez gives a meaning, values that only break rez's walk
over them, and texts that one stage of Python accepts and a later one refuses.
"""

from __future__ import annotations

import random

REQUIREMENTS = [
    "lib-2+<3", "!tool-1", "~weak-4", "weak", ".feature-1", "lib==1.0", "foo-==1.0", "foo>=1", "foo-1|2",
    "lib-1.2..3", "!~bad", "foo-1.*", "foo-", "", " ", "a b", "-", "föö-1", "~w-1|1", "foo@3", "foo#2", "__pycache__",
    "1.2.3",
]  # fmt: skip

TEXTS = [
    "'{}'", '"{}"', "u'{}'", "'''{}'''", "'{}' ''", "('{}')", "r'{}'", "'\\x66{}'", "'\\u0066{}'",
    "'\\N{{BULLET}}{}'", "'\\d{}'", "'{}\\\n'", "'\\ud800{}'", "'{}' 'x'",
]  # fmt: skip

NOT_TEXTS = [
    "f'{}'", "b'{}'", "None", "1", "('{}',)", "['{}']", "*['{}']", "'a' + '{}'", "str('{}')", "...", "True",
]  # fmt: skip

LITERALS = [
    "1", "-1", "+1", "--1", "-True", "not 1", "1.5", "-2.5", "1e999", "2j", "1 + 2j", "-2j", "~1", "0x" + "f" * 20,
    "True", "None", "...", "'text'", "b'bytes'", "'\\d'", "'é'", "'\\ud800'", "f'x'", "f'{1}'", "('a', 'b')", "()",
    "[]", "[[], {}]", "{}", "{'a': 1, 'b': {'c': [1]}}", "{1: 2}", "{b'a': 1}", "{None: 1}", "{('a',): 1}",
    "[{1: 2}]", "{'a': {1: 2}}", "{'__x': 1}", "{'a': 1, **{}}", "{'a', 'b'}", "{1, None}", "{(1,)}", "{[]}", "{{}}",
    "{[]: 1}", "[*[]]", "[x for x in ()]", "set()", "list()", "dict(a=1)", "1 if 1 else 2", "lambda: 0", "undefined",
    "9" * 5000, "0x" + "f" * 5000, "1_000", "0o17", "(1)", "'a' 'b'", "'a' % ()", "['a'] * 2", "(yield)", "(x := 1)",
    "[" * 90 + "]" * 90, "[" * 210 + "]" * 210, "-" * 90 + "1", "'a'.upper()", "open", "scope", "ModifyList([])",
    "late", "__name__", "1 < 2", "1 and 2", "'%s' % 1",
]  # fmt: skip

PLAIN = [
    "name = 'app'", "version = '1.0'", "description = 'Does\\nthings.'", "authors = ['a', 'b']",
    "hashed_variants = True", "timestamp = 1700000000", "timestamp = 0", "timestamp = -5", "format_version = 2",
    "uuid = 'x'", "'docstring'", "pass", "tools = ['t']", "help = [['a', 'b']]", "relocatable = None",
    "description = \\\n    '''\n    Block.\n    '''", "def commands():\n    env.PATH.append('{root}')",
    "def commands(): pass", "def helper(a, *b, c=1, **d):\n    return undefined",
    "@late()\ndef tools():\n    return [x for x in in_context()]",
    "@include('a', 'b')\n@late()\ndef tools():\n    return 1",
    "def preprocess(this, data):\n    data['requires'] = []",
    "@include('a')\ndef commands():\n    # only\n    pass\n    # end", "def commands() -> None:\n    pass",
    "def commands():\n    '''doc'''", "def commands():\n\tpass\n# after",
    "with scope('config') as c:\n    c.local_path = '/sw'\n    c.plugins.build_system.cmake.install_pyc = False",
    "with scope('config'):\n    a = 1\n    with scope('inner') as i:\n        i.b = {'c': 1}\n    requires = ['x']",
    "# -*- coding: utf-8 -*-", "\x0c", "tests = {'unit': {'command': 'x', 'requires': ['y']}}", "x = 1; y = 2",
    "def g():\n    yield 1", "def h():\n    def i():\n        return 1\n    return lambda: i",
]  # fmt: skip

NESTED = "\n".join([*("    " * n + f"with scope('n{n}'):" for n in range(22)), "    " * 22 + "pass"])
"""Deeper than Python compiles."""
CHAIN = "with scope('a') as a:\n    a" + "".join(f".n{n}" for n in range(400)) + " = 1"
"""Deeper than rez takes it."""
ODD = [
    "timestamp = True", "timestamp = None", "timestamp = 1.5", "timestamp = '1'", "timestamp = 1 << 40",
    "timestamp = 0x" + "f" * 40, "timestamp: int = 5", "timestamp: int", "format_version = '2'",
    "format_version = None", "format_version = 3", "format_version = []", "format_version = 0x" + "f" * 5000,
    "__builtins__ = {}", "__doc__ = 1", "__name__ = 'x'", "__author__ = 'me'", "__debug__ = 1", "late = 1",
    "include = None", "scope = 1", "early = 2", "ModifyList = 3", "InvalidPackageError = 4", "print = 1", "True_ = 1",
    "import os", "from os import path", "from __future__ import annotations", "if True:\n    requires = ['x']",
    "try:\n    x = 1\nfinally:\n    y = 2", "for requires in [['a']]:\n    pass", "while False:\n    pass",
    "del name", "global requires", "a = b = 1", "a, b = 1, 2", "[requires] = [['x']]", "*a, b = 1, 2",
    "requires += ['x']", "variants = requires", "requires.append('x')", "class requires:\n    pass",
    "class A:\n    x = undefined", "assert True", "raise ValueError('x')", "raise SystemExit(3)",
    "raise AttributeError('lost')", "exit()", "raise Exception('\\ud800')", "def requires():\n    return ['x']",
    "@late()\ndef requires():\n    return ['x']", "@early()\ndef requires():\n    return ['x']",
    "@late()\ndef build_requires():\n    return ['x']", "@late()\ndef variants():\n    return [['x']]",
    "@late()\ndef timestamp():\n    return 1", "@early()\ndef timestamp():\n    return 5",
    "@early()\ndef tools():\n    return [1]", "@early()\ndef variants():\n    return [['x-1'], ['x-2']]",
    "@early()\ndef requires(a, b):\n    return 1", "@late()\ndef commands():\n    pass",
    "@late(1)\ndef tools():\n    pass", "@late\ndef tools():\n    pass", "@include()\ndef tools():\n    pass",
    "@include(1)\ndef tools():\n    pass", "@undefined\ndef tools():\n    pass",
    "@staticmethod\ndef tools():\n    pass", "def tools(a=undefined):\n    pass", "def tools(a={1: 2}):\n    pass",
    "def tools(*, a=[]):\n    pass", "def tools(a: undefined) -> int:\n    pass",
    "def tools(a: 'x', *b: 1):\n    pass", "def tools(a: (yield)):\n    pass", "def f(a, a):\n    pass",
    "def f():\n    nonlocal x", "def f():\n    x = 1\n    global x", "def f():\n    return\n    x: (yield) = 1",
    "def f():\n    break", "def f():\n    await x", "def f():\n    __debug__ = 1", "def f():\n    from x import *",
    "def f():\n    *a, *b = c", "def f[T](a: T):\n    pass", "type X = int", "return 1", "yield 1", "await x",
    "async def tools():\n    pass", "def commands():\n    pass\nrequires = commands", "commands = lambda: 0",
    "def late():\n    pass", "def scope(a):\n    pass", "def name():\n    pass", "def __builtins__():\n    pass",
    "def commands():\n    x = 1 \\\n        + 1", "def \\\n  commands():\n    pass",
    "def commands():\n    '''\n#a\n    '''\n#b", "@late()\\\n\ndef tools():\n    pass",
    "def commands():\n    if 1 is 1: pass", "def commands(): return 1; x = 2",
    "with scope('requires') as r:\n    r.a = 1", "with scope('timestamp'):\n    a = 1",
    "with scope('config') as requires:\n    pass", "with scope('a') as a:\n    a.b = 1\n    a.b.c = 2",
    "with scope('a') as a:\n    a.b = {}\n    a.b.c = 2", "with scope('a') as a:\n    a.data.x = 1",
    "with scope('a') as a:\n    a.copy.x = 1", "with scope('a') as a:\n    a.data = 1",
    "with scope('a') as a:\n    a._update.x = 1", "with scope('a') as a:\n    a.__dict__ = 1",
    "with scope('a') as a:\n    a = 1", "with scope('a') as a:\n    a = 1\n    a.b = 2",
    "with scope('a') as a:\n    c.b = 2", "with scope('a'):\n    a.b = 2",
    "with scope('a') as a:\n    with scope('b') as b:\n        a.x = 1\n        b.x = 2\n    b.y = 3",
    "with scope('a') as a:\n    with scope('b') as a:\n        a.x = 1\n    a.y = 3",
    "with scope('a') as a:\n    a.b.c.d.e.f = 1", CHAIN,
    "with scope('a') as scope:\n    with scope('b'):\n        pass",
    "with scope('a'):\n    scope = 1\n    with scope('b'):\n        pass", "with scope('a'):\n    __builtins__ = {}",
    "with scope('a'):\n    def f():\n        pass", "with scope('a'):\n    x = {1: 2}",
    "with scope('a') as a:\n    a.x = {1: 2}", "with scope('a') as a, scope('b') as b:\n    pass",
    "with scope('a', 'b'):\n    pass", "with scope():\n    pass", "with scope(1):\n    x = 1",
    "with scope(name='a'):\n    pass", "with scope('a') as a.b:\n    pass", "with scope('a') as (a, b):\n    pass",
    "with open('x'):\n    pass", "with scope('__x'):\n    a = 1", "with scope('a.b') as a:\n    a.c = 1",
    "with scope('a') as a:\n    a[0] = 1", "with scope('a') as a:\n    a.name = 1\n    a.x.y = 2",
    "with scope('a'):\n    b = 1\nwith scope('a') as a:\n    a.b.c = 1",
    "with scope('a') as a:\n    a.b.c = 1\nwith scope('a'):\n    b = 1",
    "with scope('a') as a:\n    with scope('b'):\n        x = 1\n    a.b.y = 2",
    "with scope('a') as a:\n    a.b.c = 1\n    a.b = 1\n    a.b.c = 2", "with scope('a') as a:\n    a.late = 1",
    "with scope('a'):\n    b = 1\n    with scope('b') as c:\n        c.d = 1",
    "with scope('a') as a:\n    b = 1\n    a.b.c = 2", "with scope('a') as a:\n    a.b.c = 1\n    b = 2",
    "with scope('format_version'):\n    a = 1", "with scope('name'):\n    a = 1",
    "with scope('variants'):\n    x = [['a']]", "with scope('a') as a:\n    'text'\n    pass",
    "with scope('a') as a:\n    a.b = undefined", "with scope('a'):\n    x = y = 1", NESTED, "0or 1", "1if 1else 2",
    "'\\d'", "f'{x}'", "x: int", "x = y", "print('x', end='')", "...", "b'x'", "-1", "(1)", "[]", "1, 2", "\\",
    "x = '''", ")", "\tx = 1", "x = 1 # é", "é = 1", "ﬁ = 1", "requires\uff1d1", "variants = 'ab'", "variants = None",
    "variants = {}", "variants = {'a': 1}", "variants = ()", "variants = ''", "variants = 5", "requires = {}",
    "requires = ()", "requires = None", "requires = ''", "requires = 'lib'", "build_requires = None",
    "build_requires = 7", "requires = 0x" + "f" * 5000,
]  # fmt: skip
"""Statements that are not plain, or whose plainness needs thought."""

DECLARED = [
    "", "# coding: latin-1\n", "# -*- coding: utf-8 -*-\n", "#!x\n# vim: set fileencoding=cp1252 :\n",
    "# coding: no-such\n",
]  # fmt: skip
COMMENTS = [b"", b"# \xff\n", b"# \xc3\xa9\n", b"# \x00\n", b"#\r", b"\xef\xbb\xbf"]


def requirement_list(rng: random.Random, odd: float) -> str:
    """A list of requirements in Python."""
    items = []
    for _ in range(rng.randrange(4)):
        good = rng.random() > odd
        text = rng.choice(REQUIREMENTS[:10] if good else REQUIREMENTS)
        items.append(rng.choice(TEXTS[:3] if good else TEXTS * 3 + NOT_TEXTS).format(text))
    return f"[{', '.join(items)}]"


def statement(rng: random.Random, odd: float) -> str:
    """One statement; `odd` is the chance that it is not what one would write."""
    if rng.random() < odd:
        if rng.random() < 0.4:
            key = rng.choice(
                ["x", "tools", "requires", "variants", "build_requires", "timestamp", "format_version", "help"]
            )
            return f"{key} = {rng.choice(LITERALS)}"
        return rng.choice(ODD)
    kind = rng.randrange(6)
    if kind < 2:
        return f"{rng.choice(['requires', 'build_requires'])} = {requirement_list(rng, odd)}"
    if kind == 2:
        return f"variants = [{', '.join(requirement_list(rng, odd) for _ in range(rng.randrange(4)))}]"
    if kind == 3:
        return f"x{rng.randrange(3)} = {rng.choice(LITERALS)}"
    return rng.choice(PLAIN)


def package_text(rng: random.Random) -> bytes:
    """The bytes of one package.py."""
    odd = rng.choice([0.0, 0.02, 0.1, 0.3])
    text = "\n".join(statement(rng, odd) for _ in range(rng.randrange(1, 9))) + rng.choice(["", "\n", "\n\n"])
    if rng.random() < odd:
        text = rng.choice(DECLARED) + text
    source = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        source = source.replace(b"\n", rng.choice([b"\r\n", b"\r"]))
    if rng.random() < odd:
        comment = rng.choice(COMMENTS)
        source = rng.choice([comment + source, source + b"\n" + comment, source.replace(b"\n", b"\n" + comment, 1)])
    if rng.random() < odd / 3 and source:
        at = rng.randrange(len(source))
        source = (
            source[:at]
            + rng.choice([b"", b" ", b"\n", b"#", b"'", b"\\", b"[", b"\xff", b"\x0c", b"="])
            + source[at + 1 :]
        )
    return source
