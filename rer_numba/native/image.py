"""Images: machine code that is linked already, so that loading is copying.

An image holds code and constants that reach each other by distances, so it runs wherever it lies. What it takes from
the C library goes through slots, which are filled when it is loaded. `rer_numba.native.linker` makes images.

Layout, little endian: magic (8), offset of the entry (8), offset of one slot for each of `IMPORTS` (8 each; 0: not
needed), then the bytes that go into memory, to which the offsets refer.
"""

import ctypes
import mmap
import os
import struct
import sys
from typing import Final

MAGIC: Final = b"RERNIMG\x01"
IMPORTS: Final = ("memset", "memmove", "memcpy")
"""What code may take from the C library. ctypes knows where the first two are; moving copies as well."""
HEADER: Final = struct.Struct(f"<8sQ{len(IMPORTS)}Q")
SLOT: Final = struct.Struct("<Q")

_keep_alive: list[mmap.mmap] = []


def can_map() -> bool:
    """Tell whether images are used on this system: x86-64, with mprotect."""
    return os.name == "posix" and sys.platform != "darwin" and os.uname().machine == "x86_64" and sys.maxsize > 2**32


def is_image(code: bytes) -> bool:
    """Tell images from object files."""
    return code.startswith(MAGIC)


def map_image(code: bytes) -> int:
    """Copy an image into executable memory.

    Returns
    -------
    int
        Address of its entry.

    Raises
    ------
    OSError
        This system allows no executable memory.
    ValueError
        The image is cut off.
    """
    _, entry, *slots = HEADER.unpack_from(code) if len(code) > HEADER.size else (b"", 0)
    size = len(code) - HEADER.size
    if max(entry, *slots, 0) + SLOT.size > size:
        raise ValueError("the image is cut off")
    # first writable, then executable, never both: hardened systems refuse pages that are
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    memory.write(code[HEADER.size :])
    for offset, function in zip(slots, (ctypes.memset, ctypes.memmove, ctypes.memmove), strict=True):
        if offset:
            SLOT.pack_into(memory, offset, ctypes.cast(function, ctypes.c_void_p).value)
    start: int = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if protect(start, size, mmap.PROT_READ | mmap.PROT_EXEC):
        number = ctypes.get_errno()
        raise OSError(number, f"no executable memory: {os.strerror(number)}")
    _keep_alive.append(memory)
    return start + int(entry)
