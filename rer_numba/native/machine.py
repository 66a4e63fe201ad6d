"""LLVM in this process: what this machine is, code for it, and loading object files. Needs llvmlite, not Numba.

Imported only where something is compiled, where images are not used, and for the names of CPUs.
"""

from typing import Any, NamedTuple

import llvmlite.binding as llvm

from rer_numba.native.host import HOST
from rer_numba.native.image import can_map

_keep_alive: list[Any] = []


class Target(NamedTuple):
    """The CPU that code is made for, in LLVM's words."""

    cpu: str
    features: str
    is_host: bool


def find_target(cpu: str) -> Target:
    """Return the target for a CPU name; "host" means this machine."""
    if cpu == HOST:
        return Target(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), True)
    return Target(cpu, "", False)


def target_machine(cpu: str = "", features: str = "") -> Any:
    """Return an LLVM target machine that makes what can be loaded in this process.

    Parameters
    ----------
    cpu, features : str
        LLVM's name of the CPU, and what to add to or take from its own features. Empty to load only.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()  # MCJIT ends the process without it, even if it has nothing to compile
    target = llvm.Target.from_triple(llvm.get_process_triple())
    if can_map():
        return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small")
    # As Numba does: x86 under MCJIT needs static relocation, and code may lie more than 2 GB away from libc.
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True
    )


def load_object(code: bytes, entry: str) -> int:
    """Load an object file and return the address of one of its functions, 0 if it has none of that name.

    Raises
    ------
    RuntimeError, ValueError
        If this system allows no executable memory, or it is no object file.
    """
    llvm.check_jit_execution()
    module = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(module, target_machine())
    engine.remove_module(module)
    object_file = llvm.ObjectFileRef.from_data(code)
    if not object_file:
        raise ValueError("no object file")
    engine.add_object_file(object_file)
    engine.finalize_object()
    address = int(engine.get_function_address(entry))
    _keep_alive.extend((engine, object_file))
    return address
