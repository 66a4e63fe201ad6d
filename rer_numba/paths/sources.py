"""Where the packages of a repository came from: locations, family folders, and what must be watched inside them.

What stands beside each package (its location and the state of its definition file) are columns of the packages; this is
the rest, as objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from rer_numba.facts import offsets_of
from rer_numba.numbered import Numbered
from rer_numba.paths.freshness import FIELDS, source_texts
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.states import FileState
from rer_numba.schema import Tables


@dataclass
class Sources:
    """Everything that was looked at.

    Attributes
    ----------
    locations : list of str
        In the order in which they were searched, as rez spells them.
    folders : dict
        Family to its folders, by location; '' to the locations themselves.
    """

    locations: list[str] = field(default_factory=list)
    folders: dict[str, list[SourceFolder]] = field(default_factory=dict)

    def add(self, folder: SourceFolder) -> None:
        """Add a folder; those of a family come in the order of their locations."""
        self.folders.setdefault(folder.name, []).append(folder)

    def columns(self) -> dict[str, object]:
        """The columns of locations, folders and watched paths, sorted by family, and of their texts."""
        texts: Numbered[str] = Numbered()
        add_text = texts.add
        folders = [folder for name in sorted(self.folders) for folder in self.folders[name]]
        watched = [watch for folder in folders for watch in folder.watched]
        columns: dict[str, object] = {
            "location_text": [add_text(path) for path in self.locations],
            "folder_location": [folder.location for folder in folders],
            "folder_name_text": [add_text(folder.name) for folder in folders],
            "folder_extension_text": [add_text(folder.extension) for folder in folders],
            **_state_columns("folder", [folder.state for folder in folders]),
            "folder_watch_offsets": list(accumulate((len(folder.watched) for folder in folders), initial=0)),
            "watch_text": [add_text(path) for path, _ in watched],
            **_state_columns("watch", [state for _, state in watched]),
        }
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        columns["source_text_offsets"] = offsets_of(map(len, encoded))
        columns["source_text_bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
        return columns

    @classmethod
    def of(cls, tables: Tables) -> Sources:
        """Read them from tables."""
        text = source_texts(tables)
        found = cls([text(row) for row in tables.location_text.tolist()])
        watched = list(zip(map(text, tables.watch_text.tolist()), _states(tables, "watch"), strict=True))
        columns = (
            tables.folder_location.tolist(),
            map(text, tables.folder_name_text.tolist()),
            map(text, tables.folder_extension_text.tolist()),
            _states(tables, "folder"),
            (tuple(watched[start:end]) for start, end in pairwise(tables.folder_watch_offsets.tolist())),
        )
        for row in zip(*columns, strict=True):
            found.add(SourceFolder(*row))
        return found


def _state_columns(table: str, states: list[FileState]) -> dict[str, object]:
    return {f"{table}_{name}": [state[n] for state in states] for n, name in enumerate(FIELDS)}


def _states(tables: Tables, table: str) -> list[FileState]:
    columns = [getattr(tables, f"{table}_{name}").tolist() for name in FIELDS]
    return list(map(FileState, *columns))
