"""Which symbols an object file takes from its surroundings, read from the file itself.

LLVM may add calls (memcpy, 128-bit division) that the IR does not show, so only the object tells the truth. MCJIT uses
ELF on Linux and on Windows, and Mach-O on macOS; both are read in their 64-bit form.
"""

import struct
from collections.abc import Iterator


def undefined_symbols(code: bytes) -> tuple[str, ...]:
    """Return the names of an object file's undefined symbols, sorted, as a C compiler would write them.

    Parameters
    ----------
    code : bytes
        A relocatable object, ELF or Mach-O, 64 bits.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if code[:5] == b"\x7fELF\x02":
        names = _undefined_in_elf(code, "<" if code[5] == 1 else ">")
    elif code[:4] == b"\xcf\xfa\xed\xfe":
        names = (name.removeprefix("_") for name in _undefined_in_macho(code))
    else:
        raise ValueError("neither an ELF nor a Mach-O object of 64 bits")
    return tuple(sorted(set(names)))


def _undefined_in_elf(code: bytes, order: str) -> Iterator[str]:
    (section_offset,) = struct.unpack_from(order + "Q", code, 0x28)
    section_size, section_count = struct.unpack_from(order + "HH", code, 0x3A)
    sections = [
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        struct.unpack_from(order + "IIQQQQIIQQ", code, section_offset + i * section_size)
        for i in range(section_count)
    ]
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        strings = sections[section[6]][4]
        for at in range(section[4] + 24, section[4] + section[5], 24):  # the first symbol is empty
            name, _, _, index = struct.unpack_from(order + "IBBH", code, at)
            if index == 0 and name:
                yield _text(code, strings + name)


def _undefined_in_macho(code: bytes) -> Iterator[str]:
    (commands,) = struct.unpack_from("<I", code, 16)
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", code, at)
        if command == 2:  # LC_SYMTAB
            symbols, count, strings = struct.unpack_from("<III", code, at + 8)
            for entry in range(symbols, symbols + 16 * count, 16):
                name, kind, _, _, value = struct.unpack_from("<IBBHQ", code, entry)
                if kind & 0x0F == 1 and value == 0:  # N_UNDF and N_EXT; with a value it is a common block
                    yield _text(code, strings + name)
        at += size


def _text(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode("ascii", "replace")
