"""LLVM IR of the kernels -> an image, or an object file, that needs neither Numba nor Python.

Numba's C callback is a shell around the real function: if that one raised, it takes the GIL and prints the exception.
The shell is why an object needs symbols of Python and of Numba's runtime. We put our own in its place, which returns
`native.KERNEL_RAISED` instead, make everything else internal, and drop what nobody calls. What is left of the runtime
(only if a kernel allocates or counts references) becomes a trap.

Imported only when something must be compiled.
"""

import importlib
import os
import re
import subprocess
import sys
from typing import Any, Final, NamedTuple

import llvmlite.binding as llvm

from rer_numba.hearing import heard_in_callbacks
from rer_numba.native.cache import MAGIC, pack, unpack
from rer_numba.native.code import ENTRY, KERNEL_RAISED, NativeError
from rer_numba.native.host import HOST
from rer_numba.native.image import can_map, is_image
from rer_numba.native.linker import NotLinkableError, link_image
from rer_numba.native.machine import find_target, target_machine
from rer_numba.native.symbols import undefined_symbols

C_LIBRARY: Final = frozenset(
    ("memcpy", "memmove", "memset", "memcmp", "bcmp", "bzero", "__bzero", "memset_pattern16", "__chkstk")
)
"""Names that LLVM may call on its own account, and that every process has."""
_RUNTIME: Final = re.compile(r"(NRT|numba|Py|_Py)_?\w*")
_DECLARED: Final = re.compile(
    r'declare (?P<head>.*?@(?:"[^"]*"|[\w.$]+)\(.*?\))(?:$| local_unnamed_addr| unnamed_addr| #)', re.MULTILINE
)


class Compiled(NamedTuple):
    """Machine code and what it asks of its surroundings.

    Attributes
    ----------
    code : bytes
        An image where these are used and it can be one, else an object file.
    undefined : tuple of str
        Symbols it takes from the process.
    trapped : tuple of str
        Functions of Numba's runtime that it calls and that end the process. Empty for good kernels.
    keyed : bool
        False if Numba was set up otherwise than the cache's key says, so that the code must not be kept.
    """

    code: bytes
    undefined: tuple[str, ...]
    trapped: tuple[str, ...]
    keyed: bool = True

    @property
    def may_be_kept(self) -> bool:
        """Whether any process with the same key can load this."""
        return self.keyed and C_LIBRARY.issuperset(self.undefined)


def emit(ir: str, symbol: str, cpu: str, features: str) -> Compiled:
    """Compile the IR of a Numba C callback to self-contained machine code.

    Parameters
    ----------
    ir, symbol : str
        ``cfunc.inspect_llvm()`` and ``cfunc.native_name``.
    cpu, features : str
        As for `native.target_machine`. The IR must have been made for the same CPU, or a weaker one.

    Returns
    -------
    Compiled

    Raises
    ------
    NativeError
        If LLVM refuses, or the code needs a symbol that this process has not.
    """
    try:
        machine = target_machine(cpu, features)
        module = llvm.parse_assembly(ir)
        _replace_shell(module, symbol)
        _drop_unused(module, machine)
        trapped = _trap_runtime(module)
        module.verify()
        code = machine.emit_object(module)
    except RuntimeError as error:
        raise NativeError(f"the kernels cannot be compiled: {error}") from error
    undefined = undefined_symbols(code)
    if missing := [name for name in undefined if not llvm.address_of_symbol(name)]:
        raise NativeError(f"the kernels need symbols that do not exist here: {', '.join(missing)}")
    return Compiled(_linked(code), undefined, trapped)


def _linked(code: bytes) -> bytes:
    """The image of an object file, if there can be one."""
    if can_map():
        try:
            return link_image(code, ENTRY)
        except NotLinkableError:
            pass  # LLVM loads what it has made
    return code


def _replace_shell(module: Any, symbol: str) -> None:
    """Add `ENTRY` to a module, and make every other definition internal."""
    inner = symbol.removeprefix("cfunc.")
    own_shell = inner != symbol and _type_of(module, inner) == "i32 (ptr, ptr, ptr)"
    module.link_in(llvm.parse_assembly(_entry_ir(inner) if own_shell else _plain_entry_ir(symbol)))
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != ENTRY:
            value.linkage = "internal"


def _type_of(module: Any, name: str) -> str | None:
    try:
        return str(module.get_function(name).global_value_type)
    except NameError:
        return None


def _entry_ir(inner: str) -> str:
    """The entry over a function in Numba's own convention: (result*, exception**, argument) -> status, 0 if fine."""
    return f"""
        declare i32 @"{inner}"(ptr, ptr, ptr)
        define i64 @{ENTRY}(ptr %table) {{
            %result = alloca i64
            %exception = alloca ptr
            store i64 0, ptr %result
            store ptr null, ptr %exception
            %status = call i32 @"{inner}"(ptr %result, ptr %exception, ptr %table)
            %value = load i64, ptr %result
            %fine = icmp eq i32 %status, 0
            %answer = select i1 %fine, i64 %value, i64 {KERNEL_RAISED}
            ret i64 %answer
        }}"""


def _plain_entry_ir(symbol: str) -> str:
    """The entry over any C function."""
    return f"""
        declare i64 @"{symbol}"(ptr)
        define i64 @{ENTRY}(ptr %table) {{
            %answer = tail call i64 @"{symbol}"(ptr %table)
            ret i64 %answer
        }}"""


def _drop_unused(module: Any, machine: Any) -> None:
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3)))


def _trap_runtime(module: Any) -> tuple[str, ...]:
    """Give each function of Numba's or Python's runtime that is still called a body that ends the process."""
    calls = [f for f in module.functions if f.is_declaration and _RUNTIME.fullmatch(f.name)]
    names = tuple(f.name for f in calls)
    for declaration in [str(f) for f in calls]:
        found = _DECLARED.search(declaration)
        if found is None:
            raise NativeError(f"an unexpected declaration: {declaration}")
        module.link_in(
            llvm.parse_assembly(
                f"declare void @llvm.trap()\ndefine {found['head']} {{\n call void @llvm.trap()\n unreachable\n}}\n"
            )
        )
    for name in names:
        module.get_function(name).linkage = "internal"
    return names


# ------------------------------------------------------------------------------------------------------ in this process
_CONFIG_DEFAULTS: Final = {"BOUNDSCHECK": None, "OPT": 3, "CPU_NAME": None, "CPU_FEATURES": None}


def compile_here(module_name: str) -> Compiled:
    """Import a kernel module, which imports Numba, and compile what its ``export_ir()`` gives for this host.

    Parameters
    ----------
    module_name : str
        A module with ``export_ir() -> (ir, symbol)``.
    """
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise NativeError(f"the solver must be compiled here, which needs Numba: {error}") from error
    if getattr(sys.modules.get("numba.core.config"), "DISABLE_JIT", False):
        raise NativeError("the solver must be compiled here, and NUMBA_DISABLE_JIT forbids it")
    target = find_target(HOST)
    with heard_in_callbacks():
        ir, symbol = module.export_ir()
        compiled = emit(ir, symbol, target.cpu, target.features)
    return compiled._replace(keyed=_numba_is_as_keyed())


def _numba_is_as_keyed() -> bool:
    """Tell whether Numba's settings come from where the key looks: the environment, and nowhere else."""
    config = sys.modules.get("numba.core.config")
    if os.path.exists(".numba_config.yaml"):
        return False
    return config is None or all(
        f"NUMBA_{name}" in os.environ or getattr(config, name, default) == default
        for name, default in _CONFIG_DEFAULTS.items()
    )


# -------------------------------------------------------------------------------------------------- for another machine
def compile_elsewhere(module_name: str, cpu: str) -> Compiled:
    """Compile for a CPU by its name, with that CPU's own features, in a child process.

    Numba optimises IR for the machine that its environment named when it was imported, so code that is really portable
    can only come from a fresh process.

    Raises
    ------
    NativeError
        If no child can be started (an application with Python inside, for example) or the child fails.
    """
    command = [sys.executable, "-c", _CHILD, module_name, cpu, *(os.path.abspath(p) for p in sys.path)]
    environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_DISABLE_JIT": "0"}
    try:
        # in the package's folder: Numba reads settings from the working directory
        child = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=os.path.dirname(__file__),
            check=False,
        )
    except (OSError, ValueError, TypeError) as error:
        raise NativeError(f"no process can be started to compile for {cpu}: {error}") from error
    code = _answer(child.stdout, cpu)
    if child.returncode != 0 or code is None:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise NativeError(f"compiling for {cpu} failed: {lines[-1] if lines else child.returncode}")
    return Compiled(code, () if is_image(code) else undefined_symbols(code), ())


_CHILD: Final = "import sys; sys.path[:] = sys.argv[3:]; from rer_numba.native.compiler import _child; _child()"


def _answer_key(cpu: str) -> bytes:
    return cpu.encode()[:32].ljust(32)


def _answer(output: bytes, cpu: str) -> bytes | None:
    """Read what `_child` wrote, after whatever a site's start-up files may have printed."""
    return unpack(output[output.find(MAGIC) :], _answer_key(cpu)) if MAGIC in output else None


def _child() -> None:
    """Compile the module named by ``sys.argv[1]`` for the CPU ``sys.argv[2]``; write packed code to stdout."""
    module_name, cpu = sys.argv[1:3]
    ir, symbol = importlib.import_module(module_name).export_ir()
    sys.stdout.buffer.write(pack(_answer_key(cpu), emit(ir, symbol, cpu, "").code))
    sys.stdout.buffer.flush()
