"""Files of the object cache: what they hold, who may have written them. Reading them.

Invariants
----------
- A file is used only if its checksum, its length and its key fit, and if nobody but the user (or root) can have written
  it. Everything else counts as absent, so damage costs a compilation and never a wrong answer.
- A file appears whole or not at all: temporary file in the same folder, fsync, `os.replace`.
- Functions here report trouble as `None` or one warning; they let no `OSError` out.
"""

import os
import stat
from typing import Final, NamedTuple

from rer_numba.hashing import blake2b
from rer_numba.tell import warn_once
from rer_numba.user_cache import NO_WAIT, OPEN_FLAGS, folder_problem, renew_if_old, unsafe

MAGIC: Final = b"RERNOBJ\x01"
KEY_SIZE: Final = 32
HEADER_SIZE: Final = len(MAGIC) + KEY_SIZE + 8 + KEY_SIZE
MAX_FILE_SIZE: Final = 1 << 28
SUFFIX: Final = ".kernel"


# ---------------------------------------------------------------------------------------------------------- file format
def digest(*parts: bytes) -> bytes:
    """Return the 32-byte BLAKE2b of some byte strings, one after the other."""
    state = blake2b(digest_size=KEY_SIZE)
    for part in parts:
        state.update(part)
    return state.digest()


def pack(key: bytes, code: bytes) -> bytes:
    """Return a file's bytes: magic (8), key (32), length of the code (8, little endian), checksum (32), code.

    The checksum covers the other header fields as well, so a flipped bit anywhere is seen.
    """
    head = MAGIC + key + len(code).to_bytes(8, "little")
    return head + digest(head, code) + code


def unpack(data: bytes, key: bytes) -> bytes | None:
    """Return the code of a file's bytes, or None if it is damaged or was made for another key."""
    head, checksum = data[: HEADER_SIZE - KEY_SIZE], data[HEADER_SIZE - KEY_SIZE : HEADER_SIZE]
    code = data[HEADER_SIZE:]
    if head != MAGIC + key + len(code).to_bytes(8, "little") or digest(head, code) != checksum:
        return None
    return code


# --------------------------------------------------------------------------------------------------------------- places
class Place(NamedTuple):
    """Where one object is kept.

    Attributes
    ----------
    path : str
        The file. A symbolic link in its place is not followed.
    key : bytes
        What the code was made from and for, 32 bytes.
    shipped : bool
        A file of the installed package is as trusted as its Python code. Any other one, and its folder, must be such
        that only the user or root can have written it.
    """

    path: str
    key: bytes
    shipped: bool

    @property
    def folder(self) -> str:
        """The file's folder."""
        return os.path.dirname(self.path)

    def read(self) -> bytes | None:
        """Return the code, or None if it is absent, damaged, of another key, or (with a warning) somebody else's."""
        if not self.shipped and (problem := folder_problem(self.folder)):
            warn_once(f"the folder of compiled kernels is not used: {self.folder} {problem}", about=self.folder)
            return None
        try:
            handle = os.open(self.path, os.O_RDONLY | OPEN_FLAGS | NO_WAIT)
        except OSError:
            return None
        try:
            info = os.fstat(handle)
            data = _read_all(handle, info.st_size) if self._is_good(info) else b""
        except OSError:
            return None
        finally:
            os.close(handle)
        code = unpack(data, self.key)
        if code is not None:
            renew_if_old(self.path, info)
        return code

    def _is_good(self, info: os.stat_result) -> bool:
        problem = None if self.shipped else unsafe(info)
        if problem:
            warn_once(f"compiled kernels are not used: {self.path} {problem}", about=self.path)
        return not problem and stat.S_ISREG(info.st_mode) and HEADER_SIZE < info.st_size <= MAX_FILE_SIZE


def file_name(cpu: str, key: bytes) -> str:
    """Return the name of an object's file: the CPU for a reader, half of the key to tell objects apart."""
    readable = "".join(c if (c.isascii() and c.isalnum()) or c in "-." else "_" for c in cpu[:32])
    return f"{readable}-{key[:16].hex()}{SUFFIX}"


def _read_all(handle: int, size: int) -> bytes:
    """Read up to `size` bytes and one more, so that a file that grew meanwhile does not fit its header."""
    parts = []
    left = size + 1
    while left > 0 and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
