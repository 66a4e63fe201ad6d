"""Makes ``docs/layout.md`` from the declarations of the columns and from the kernels that check them.

``python -m rer_numba.schema_docs > docs/layout.md``
"""

from __future__ import annotations

from collections.abc import Iterator

from rer_numba import schema
from rer_numba.checking.kernels import PROMISES
from rer_numba.promises import FACTS, REQUIRES
from rer_numba.schema import BUILDING, COLUMNS, FORMAT_MAJOR, FORMAT_MINOR, Column

# what a row of each table is, in the order of the page
ROWS = {
    "text": "A string; each distinct one once.",
    "version": "A version of a package or a bound of a range; each once, ascending. Row 0 is the empty version.",
    "range": "A set of versions; each distinct one once.",
    "family": "A name. A family stands behind those that its newest package needs.",
    "package": "A family and a version. Sorted by family, then by descending version.",
    "variant": "One way to use a package. Sorted by package, then by index.",
    "error": "What a solve raises when it touches something broken.",
    "requirement": "A request for a family and a range of its versions; each distinct text once.",
    "mention": "A family A and a family B that some variant of A has a requirement on. Sorted by A, then by the name "
    "of B.",
    "link": "A mention and one distinct requirement behind it. Sorted by mention.",
}
SOURCE_ROWS = {
    "source": "A string of the tables below.",
    "location": "A path that was searched, in order.",
    "folder": "A location, the folder of a family in it, or the file that holds all versions of a family. First the "
    "locations, then the others by name, then by location.",
    "watch": "A path that decided what was found, without a trace in the folder: a definition file that is missing, or "
    "a link.",
}

HEAD = """\
# The layout of an encoded repository

Made from `rer_numba/schema.py` by `python -m rer_numba.schema_docs > docs/layout.md`: change that file, not this one.

An encoded repository is a set of flat integer columns. Everything that a solve needs is in them: no name is compared
and no version is parsed once they are made, except those of the request.

## Rules that hold for every column
"""

FILE = f"""\
## The file

Format {FORMAT_MAJOR}.{FORMAT_MINOR}. An Arrow IPC file (also known as Feather, version 2), little-endian, not
compressed, with one record batch of one row. Each column below is an Arrow column of type
`large_list<item: T not null> not null` whose single list is the array. Any Arrow library can read it:

```python
import pyarrow as pa

with pa.memory_map("site.rer") as source:
    batch = pa.ipc.open_file(source).get_batch(0)
    families = batch.column("family_text").values.to_numpy()
```

| metadata of the schema | |
|---|---|
"""

METADATA = {
    "rer.format": "`MAJOR.MINOR` of the layout.",
    "rer.fingerprint": "blake2b (128 bits, hexadecimal) over the name, type, length and bytes of each column, apart "
    "from those that say where packages came from: equal content has an equal fingerprint, whoever wrote it and when.",
    "rer.created": "When it was written, UTC.",
    "rer.encoder": "The rer-numba that wrote it.",
    "rer.crc32": "`name=checksum` for each column, separated by spaces: zlib's CRC-32 of the values, hexadecimal.",
    "rer.longest": "How many variants the family has, and the package, that has the most.",
    "rer.metadata_crc32": "The same over all other entries, as `key=value` lines sorted by key. Every MAJOR keeps this "
    "rule.",
    "rer.paths": "What messages say was searched, one path a line.",
    "rer.path_settings": "How the packages were found: `PathSettings.to_json`. Absent when they were handed in.",
    "rer.options": "What a solve uses when it is told nothing else: `SolveOptions.to_json`. Absent for the defaults. "
    "Not part of the fingerprint.",
}

VERSIONS = """
Other entries belong to whoever wrote the file. The order of the columns has no meaning.

A later MINOR adds columns or metadata, which an older reader ignores; a newer reader takes each row of a column that is
not there yet for unknown, -1. Another MAJOR is refused: whatever changes the
meaning of a column, removes one or adds one that readers must know raises MAJOR.
"""

BUILDING_SET = f"""\
## With build_requires

The columns under *variant*, *family*, *mention* and *link* that say what variants require exist twice: as above, and as
`{BUILDING}...` with build_requires joined in. When no package has any, all columns of the second set are empty:
"""

SOURCE_SET = """\
## Where packages came from

What tells whether a repository is still what its folders say: inodes, sizes, and times of change in nanoseconds, of the
content and of the inode. A time of -2 means that the file changed so shortly before it was read that the times cannot
be trusted; an inode of -1, that there was nothing. The columns below, and the last ones of *package*, are empty when
the packages were handed in.
"""

CHECKS = """\
## What is checked when a file is opened

The checksum of each column; its type and its length; that offsets begin at 0, never fall and end with the number of
rows; that every index lies inside of what it refers to. Then:
"""


def layout_page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, _rules(), FILE + _metadata() + VERSIONS, "## The tables\n", *(_table(*row) for row in ROWS.items())]
    sources = [_table(*row) for row in SOURCE_ROWS.items()]
    return "\n".join([*parts, BUILDING_SET + _building(), SOURCE_SET, *sources, CHECKS + _checks()])


def _rules() -> str:
    """The list of rules at the end of the docstring of `rer_numba.schema`."""
    _, _, rules = (schema.__doc__ or "").partition("-\n*")
    constants = f"* `CUT_SHIFT` is {schema.CUT_SHIFT}, `CUT_INF` is {schema.CUT_INF} (2 to the power of 62)."
    return f"*{rules.rstrip()}\n{constants}\n".replace("``", "`")


def _metadata() -> str:
    return "".join(f"| `{key}` | {meaning} |\n" for key, meaning in METADATA.items())


def _table(name: str, row: str) -> str:
    lines = [f"### {name}", "", row, "", "| column | type | length | meaning |", "|---|---|---|---|"]
    lines += [_line(column) for column in _columns_of(name)]
    return "\n".join(lines) + "\n"


def _columns_of(table: str) -> Iterator[Column]:
    for column in COLUMNS:
        if column.name.partition("_")[0] == table:
            yield column


def _line(column: Column) -> str:
    return f"| `{column.name}` | {column.dtype} | {_length(column.length)} | {column.meaning}{_refers(column)} |"


def _length(length: str) -> str:
    if length.startswith("@"):
        return f"last of `{length[1:]}`"
    word, _, extra = length.partition(" ")
    return f"{_plural(word)} {extra}".strip()


def _refers(column: Column) -> str:
    if not column.refers:
        return ""
    refers = f"`{column.refers[1:]}`" if column.refers.startswith("@") else _plural(column.refers)
    return f" Refers to {refers}{', or is -1' if column.optional else ''}."


def _plural(word: str) -> str:
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("ch") else f"{word}s"


def _building() -> str:
    names = [f"`{column.name}`" for column in COLUMNS if column.name.startswith(BUILDING)]
    return "\n" + ", ".join(names) + ".\n"


def _checks() -> str:
    return "\n" + "\n".join(f"- {_promise(step)}" for step in (*FACTS, *REQUIRES)) + "\n"


def _promise(step: int) -> str:
    return (PROMISES[step].__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    print(layout_page(), end="")
