"""An object file becomes an image: sections laid out, distances filled in.

What is linked is ELF for x86-64, made as position-independent code. See the System V ABI, AMD64 supplement, table 4.9.
Imported only when something has been compiled.
"""

import struct
from typing import Final, NamedTuple

from rer_numba.native import image

_X86_64: Final = 62
_PROGBITS, _SYMTAB, _RELA = 1, 2, 4  # types of sections
_WRITE, _ALLOC = 1, 2  # flags of sections
_PC32, _PLT32 = 2, 4  # types of relocations
_JUMP: Final = b"\xff\x25\x02\x00\x00\x00\xcc\xcc"
"""To the address in the slot behind it: ``jmp [rip + 2]``, filled up to 8 bytes."""


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class NotLinkableError(ValueError):
    """An object file that needs more than an image can do; it can still be loaded by LLVM."""


class _Linker:
    """See `link_image`."""

    def __init__(self, code: bytes) -> None:
        if code[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", code, 0x12) != (_X86_64,):
            raise NotLinkableError("no ELF object for x86-64")
        self._code = code
        (table,) = struct.unpack_from("<Q", code, 0x28)
        size, count = struct.unpack_from("<HH", code, 0x3A)
        self._sections = [_Section(*struct.unpack_from("<IIQQQQIIQQ", code, table + at * size)) for at in range(count)]
        self._memory = bytearray()
        self._places: dict[int, int] = {}
        self._jumps: dict[str, int] = {}

    def image(self, entry: str) -> bytes:
        """Link, and say where `entry` is."""
        relocated = [one for one in self._sections if one.type == _RELA and self._is_loaded(self._sections[one.info])]
        self._lay_out()
        for one in relocated:
            self._relocate(one)
        symbols = self._symbols(next(n for n, one in enumerate(self._sections) if one.type == _SYMTAB))
        starts = [self._address(one) for one in symbols if one.section and self._text(one) == entry]
        if len(starts) != 1:
            raise NotLinkableError(f"no function {entry}")
        slots = [self._jumps[name] + len(_JUMP) if name in self._jumps else 0 for name in image.IMPORTS]
        return image.HEADER.pack(image.MAGIC, starts[0], *slots) + self._memory

    def _is_loaded(self, section: _Section) -> bool:
        """Code and constants. The tables for unwinding have a type of their own: nothing here is thrown."""
        return section.type == _PROGBITS and bool(section.flags & _ALLOC)

    def _lay_out(self) -> None:
        for number, one in enumerate(self._sections):
            if one.flags & _WRITE and one.size:
                raise NotLinkableError("it has data that can be written")
            if self._is_loaded(one):
                self._align(max(one.alignment, 1))
                self._places[number] = len(self._memory)
                self._memory += self._code[one.offset : one.offset + one.size]
        self._align(16)

    def _align(self, to: int) -> None:
        self._memory += b"\xcc" * (-len(self._memory) % to)

    def _symbols(self, number: int) -> list[_Symbol]:
        table = self._sections[number]
        self._names = self._sections[table.link].offset
        entries = struct.iter_unpack("<IBBHQQ", self._code[table.offset : table.offset + table.size])
        return [_Symbol(*entry) for entry in entries]

    def _text(self, symbol: _Symbol) -> str:
        start = self._names + symbol.name
        return self._code[start : self._code.index(b"\0", start)].decode("ascii", "replace")

    def _address(self, symbol: _Symbol) -> int:
        if symbol.section == 0:
            return self._jump(self._text(symbol))
        if symbol.section not in self._places:
            raise NotLinkableError(f"{self._text(symbol)} is in a section that is not loaded")
        return self._places[symbol.section] + symbol.value

    def _jump(self, name: str) -> int:
        """Where a jump to a function of the C library is."""
        if name not in image.IMPORTS:
            raise NotLinkableError(f"it needs {name}")
        if name not in self._jumps:
            self._jumps[name] = len(self._memory)
            self._memory += _JUMP + bytes(image.SLOT.size)
        return self._jumps[name]

    def _relocate(self, table: _Section) -> None:
        symbols = self._symbols(table.link)
        start = self._places[table.info]
        for offset, info, addend in struct.iter_unpack("<QQq", self._code[table.offset : table.offset + table.size]):
            kind = info & 0xFFFFFFFF
            if kind not in (_PC32, _PLT32):
                raise NotLinkableError(f"a relocation of type {kind}")
            at = start + offset
            struct.pack_into("<i", self._memory, at, self._address(symbols[info >> 32]) + addend - at)


def link_image(code: bytes, entry: str) -> bytes:
    """Make an image of an object file.

    Parameters
    ----------
    code : bytes
        ELF for x86-64, position-independent, for the small code model.
    entry : str
        The function that will be called.

    Raises
    ------
    NotLinkableError
        It is none, or needs something that images do not have: data that can be written, other functions of the
        process, relocations beyond distances of 32 bits.
    """
    return _Linker(code).image(entry)
