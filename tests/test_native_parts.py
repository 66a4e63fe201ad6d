"""The parts of the compiled-kernel machinery: file format, key, locks, object files, what kernels leave undefined."""

import ast
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import llvmlite.binding as llvm
import pytest

import rer_numba
from rer_numba import locks, user_cache
from rer_numba.native import compiler as native_compile
from rer_numba.native import files as object_files
from rer_numba.native import host, image
from rer_numba.native import key as object_key
from rer_numba.native.cache import HEADER_SIZE, SUFFIX, Place, file_name, pack, unpack
from rer_numba.native.code import ENTRY, KERNEL_RAISED, NativeError, load_code
from rer_numba.native.host import HOST
from rer_numba.native.key import KERNEL_SETS, KERNELS, PORTABLE, KernelSet
from rer_numba.native.linker import NotLinkableError, link_image
from rer_numba.native.machine import find_target, load_object, target_machine
from rer_numba.native.symbols import undefined_symbols
from rer_numba.user_cache import cache_folder

KEY = bytes(range(32))
CODE = random.Random(1).randbytes(500)


# ---------------------------------------------------------------------------------------------------------- file format
def test_what_was_packed_comes_back() -> None:
    """Only under its own key."""
    assert unpack(pack(KEY, CODE), KEY) == CODE
    assert unpack(pack(KEY, CODE), KEY[::-1]) is None


def test_every_flipped_bit_is_seen() -> None:
    """All of the header and the code, and every truncation."""
    good = pack(KEY, CODE)
    for at in range(len(good)):
        for bit in range(8):
            assert unpack(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :], KEY) is None
        assert unpack(good[:at], KEY) is None
    assert unpack(good + b"\0", KEY) is None


def test_a_used_file_is_renewed(tmp_path: Path) -> None:
    """So that pruning takes those that nobody used; once a day is enough."""
    place = Place(str(tmp_path / ("x" + SUFFIX)), KEY, shipped=True)
    assert object_files.keep(place, CODE)
    os.utime(place.path, (1e9, 1e9))
    before = time.time()
    assert place.read() == CODE
    assert os.stat(place.path).st_mtime > before - 10  # by the clock of the file system


def test_tidying(tmp_path: Path) -> None:
    """Old objects and what dead writers left go; the living stay."""
    old = [tmp_path / f"cpu-{i}{SUFFIX}" for i in range(object_files.KEEP_OBJECTS + 5)]
    for i, path in enumerate(old):
        path.write_bytes(b"")
        os.utime(path, (1e9 + i, 1e9 + i))
    living = locks.writer_name()
    being_written = Path(locks.temporary_name(str(tmp_path / f"cpu-1{SUFFIX}")))
    keep = [being_written, tmp_path / f"cpu-1{SUFFIX}.lock", tmp_path / "notes.txt"]
    for path in keep:
        path.write_text(living)
    forgotten = tmp_path / f"cpu-2{SUFFIX}.rer-numba-writes-elsewhere.1.abc.tmp"
    forgotten.write_text("")
    os.utime(forgotten, (1e9, 1e9))
    dead = tmp_path / f"cpu-3{SUFFIX}.rer-numba-writes-{locks.host_name()}.999999999.abc.tmp"
    dead.write_text("")
    place = Place(str(tmp_path / ("new" + SUFFIX)), KEY, shipped=False)
    tmp_path.chmod(0o700)
    assert object_files.keep(place, CODE)
    expected = {*keep, *old[6:], Path(place.path)} | ({dead} if os.name != "posix" else set())
    assert set(tmp_path.iterdir()) == expected


# --------------------------------------------------------------------------------------------------------------- places
@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {"HOME": "{tmp}"}, "{tmp}/.cache/rer-numba"),
        ("linux", {"HOME": "{tmp}", "XDG_CACHE_HOME": "/x"}, "/x/rer-numba"),
        ("linux", {"HOME": "{tmp}", "XDG_CACHE_HOME": "x"}, "{tmp}/.cache/rer-numba"),
        ("linux", {"HOME": "{tmp}/missing"}, None),
        ("linux", {"HOME": ""}, None),
        ("linux", {"HOME": "", "RER_NUMBA_CACHE_DIR": "/y"}, "/y"),
        ("darwin", {"HOME": "{tmp}"}, "{tmp}/Library/Caches/rer-numba"),
        ("win32", {"LOCALAPPDATA": "/z"}, "/z/rer-numba/Cache"),
        ("win32", {}, None),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="paths are written for POSIX")
def test_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, env: dict[str, str], expected: str | None
) -> None:
    """Each platform's own place, and none that is not ours."""
    for name in ("HOME", "XDG_CACHE_HOME", "RER_NUMBA_CACHE_DIR", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    monkeypatch.setattr(user_cache.sys, "platform", platform)
    assert cache_folder() == (expected and expected.format(tmp=tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
@pytest.mark.parametrize(
    ("owner", "mode", "trusted"),
    [(1000, 0o600, True), (1000, 0o755, True), (0, 0o755, True), (1001, 0o600, False), (1000, 0o620, False)],
)
def test_whom_we_trust(monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, trusted: bool) -> None:
    """Ourselves and root, if nobody else can write. On Windows the profile folder is the guard."""
    info = os.stat_result((0o100000 | mode, 0, 0, 1, owner, owner, 0, 0, 0, 0))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (user_cache.unsafe(info) is None) == trusted
    monkeypatch.delattr(os, "geteuid")
    assert user_cache.unsafe(info) is None


# ------------------------------------------------------------------------------------------------------------------ key
CHANGES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "package": lambda m: m.setattr(rer_numba, "__version__", "0.0.0.test", raising=False),
    "numba": lambda m: m.setattr(object_key, "_version_of", lambda package: f"{package} 0.1"),
    "python": lambda m: m.setattr(sys.implementation, "cache_tag", "cpython-399"),
    "system": lambda m: m.setattr(sys, "platform", "plan9"),
    "architecture": lambda m: m.setattr(object_key, "architecture", lambda: "pdp11"),
    "processor": lambda m: m.setattr(object_key, "processor", lambda: "another one"),
    "setting": lambda m: m.setenv("NUMBA_OPT", "1"),
    "unknown setting": lambda m: m.setenv("NUMBA_NEW_IN_2040", "1"),
    "pointers": lambda m: m.setattr(sys, "maxsize", 2**31 - 1),
    "layout": lambda m: m.setattr(object_key, "LAYOUT", 999),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_another_key(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Each fact alone."""
    before = object_key.object_key(KERNELS, HOST)
    CHANGES[change](monkeypatch)
    assert object_key.object_key(KERNELS, HOST) != before


def test_targets_and_sources_make_other_keys(tmp_path: Path) -> None:
    """CPU, host or named, and each source file."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1")
    one, two = (KernelSet("a", str(tmp_path), sources, "") for sources in (("a.py",), ("a.py", "b.py")))
    cpus = [HOST, "c", "d", host.processor()]
    keys = {object_key.object_key(kernels, cpu) for kernels in (one, two) for cpu in cpus}
    (tmp_path / "b.py").write_text("x = 2")
    keys.add(object_key.object_key(two, HOST))
    keys |= {object_key.portable_key(two, cpu) for cpu in (PORTABLE, "x86-64-v3")}
    assert len(keys) == 11


def test_tools_do_not_matter_to_shipped_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run where Numba is another one, or is not installed."""
    before = object_key.portable_key(KERNELS, PORTABLE)
    for change in ("numba", "python", "setting", "processor"):
        CHANGES[change](monkeypatch)
    assert object_key.portable_key(KERNELS, PORTABLE) == before
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert object_key.portable_key(KERNELS, PORTABLE) != before


def test_outdated_objects_are_not_shipped(tmp_path: Path) -> None:
    """Those of other kernels; those of these for other systems are."""
    kernels = tmp_path / "sources"
    kernels.mkdir()
    (kernels / "a.py").write_text("x = 1")
    one = KernelSet("a", str(kernels), ("a.py",), "")
    names = [file_name("generic", object_key.portable_key(one, "generic", machine)) for machine in object_key.MACHINES]
    others = [file_name("generic", KEY), file_name("x86-64-v3", object_key.portable_key(one, "generic")), "x" + SUFFIX]
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in (*names, *others, "notes.txt"):
        (shipped / name).write_bytes(b"")
    object_files.drop_outdated(str(shipped), [one])
    assert {path.name for path in shipped.iterdir()} == {*names, "notes.txt"}


def test_an_edit_during_a_compilation_is_noticed(tmp_path: Path) -> None:
    """The code of yesterday's import must not be kept under today's source."""
    source = tmp_path / "os.py"  # a module that is certainly imported
    source.write_text("x = 1")
    kernels = KernelSet("os", str(tmp_path), ("os.py",), "")
    assert not object_key.SourceStamp(kernels).still_true()
    os.utime(source, (1e9, 1e9))
    stamp = object_key.SourceStamp(kernels)
    assert stamp.still_true()
    source.write_text("x = 2")
    assert not stamp.still_true()


@pytest.mark.parametrize("kernels", KERNEL_SETS, ids=lambda one: one.module)
def test_every_kernel_source_is_listed(kernels: KernelSet) -> None:
    """What the entry imports of this package, directly or not, is among the sources, and nothing else is."""
    package = Path(rer_numba.__file__ or kernels.folder).parent if rer_numba.__file__ else Path(kernels.folder)
    seen: set[str] = set()
    todo = [kernels.module.removeprefix("rer_numba.").replace(".", "/") + ".py"]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [found for found in _own_imports(package / name) if (package / found).exists()]
    assert seen == set(kernels.sources)


def test_an_edit_of_one_set_leaves_the_others_alone() -> None:
    """What they share is how they are compiled, and what columns mean."""
    for one, other in combinations(KERNEL_SETS, 2):
        assert set(one.sources) & set(other.sources) == {"_jit.py", "schema.py"}


def _own_imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "rer_numba":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rer_numba."):
            found.add((node.module or "").removeprefix("rer_numba."))
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("rer_numba.")}
    return {name.replace(".", "/") + ".py" for name in found}


# --------------------------------------------------------------------------------------------------------- object files
def _emit(ir: str, symbol: str) -> native_compile.Compiled:
    target = find_target(HOST)
    return native_compile.emit(ir, symbol, target.cpu, target.features)


@pytest.mark.parametrize(
    ("name", "options", "undefined", "trapped"),
    [
        ("tripled", {}, (), ()),
        ("raising", {}, (), ()),
        ("filling", {}, ("memset",), ()),
        ("allocating", {"_nrt": True}, (), ("NRT_MemInfo_alloc_aligned", "NRT_MemInfo_call_dtor")),
    ],
)
def test_what_kernels_need(
    name: str, options: dict[str, bool], undefined: tuple[str, ...], trapped: tuple[str, ...]
) -> None:
    """Nothing of Python, nothing of Numba; memory functions of C at most."""
    dummy = _dummy()
    compiled = _emit(*dummy.export(getattr(dummy, name), **options))
    assert (compiled.undefined, compiled.trapped) == (undefined, trapped)
    assert compiled.may_be_kept


def test_numbas_own_shell_needs_python() -> None:
    """Why it is replaced: the same kernel with Numba's shell around it."""
    dummy = _dummy()
    ir, _ = dummy.export(dummy.tripled)
    target = find_target(HOST)
    symbols = undefined_symbols(target_machine(target.cpu, target.features).emit_object(llvm.parse_assembly(ir)))
    assert {"numba_gil_ensure", "numba_gil_release", "PyErr_WriteUnraisable"} <= set(symbols)


def test_a_kernel_that_raises_has_a_status() -> None:
    """No exception, no message, no GIL."""
    import numpy as np

    dummy = _dummy()
    function = load_code(_emit(*dummy.export(dummy.raising)).code)
    assert function(np.array([7], np.int64).ctypes.data) == 7
    assert function(np.array([-7], np.int64).ctypes.data) == KERNEL_RAISED


def _dummy():  # type: ignore[no-untyped-def]
    config = pytest.importorskip("numba.core.config")
    if config.DISABLE_JIT:
        pytest.skip("NUMBA_DISABLE_JIT is set")
    from tests import dummy_kernels

    return dummy_kernels


def test_the_real_kernels_need_nothing() -> None:
    """They neither raise into Python nor allocate. Uses the object in the cache, or takes the time to make it."""
    pytest.importorskip("numba")
    from rer_numba.native import warmup

    made = warmup()
    assert len({one.path for one in made}) == len(KERNEL_SETS)
    for one in made:
        code = Path(one.path).read_bytes()[HEADER_SIZE:]
        # an image cannot need anything else
        assert image.is_image(code) if image.can_map() else native_compile.C_LIBRARY.issuperset(undefined_symbols(code))
        assert b"NRT_" not in code and b"PyErr" not in code


SPIN = """
    define i64 @spin(ptr %table) {
    start:
        br label %loop
    loop:
        %left = phi i64 [ 4000000000, %start ], [ %next, %again ]
        %flag = load volatile i64, ptr %table
        %set = icmp ne i64 %flag, 0
        br i1 %set, label %done, label %again
    again:
        %next = sub i64 %left, 1
        %over = icmp eq i64 %next, 0
        br i1 %over, label %done, label %loop
    done:
        ret i64 %flag
    }"""


def test_the_gil_is_free_while_code_runs() -> None:
    """Another thread sets the flag that the code spins on."""
    import numpy as np

    function = load_code(_emit(SPIN, "spin").code)
    table = np.zeros(1, np.int64)

    def set_flag() -> None:
        table[0] = 5

    timer = threading.Timer(0.1, set_flag)
    timer.start()
    assert function(table.ctypes.data) == 5
    timer.join()


MISSING = """
    declare i64 @no_such_function(ptr)
    define i64 @f(ptr %table) {
        %result = call i64 @no_such_function(ptr %table)
        ret i64 %result
    }"""


@pytest.mark.parametrize("ir", [MISSING, "no IR at all"])
def test_bad_ir_is_an_error(ir: str) -> None:
    """Instead of the end of the process, which is what LLVM has for a symbol that is missing."""
    with pytest.raises(NativeError):
        _emit(ir, "f")


def test_symbols_of_this_process_are_not_kept() -> None:
    """Code may use them here; another process may not have them."""
    compiled = _emit(MISSING.replace("no_such_function", "Py_IncRef_of_ours").replace("_of_ours", ""), "f")
    assert compiled.trapped == ("Py_IncRef",)
    compiled = _emit(MISSING.replace("no_such_function", "getenv"), "f")
    assert compiled.undefined == ("getenv",) and not compiled.may_be_kept


@pytest.mark.parametrize("code", [b"", b"garbage", b"\x7fELF\x02", image.MAGIC])
def test_no_object_file_is_an_error(code: bytes) -> None:
    """Never reached by way of the cache, which has checksums."""
    with pytest.raises(NativeError):
        load_code(code)


def test_an_object_without_the_entry_is_an_error() -> None:
    """A look-up that LLVM answers with 0."""
    code = target_machine().emit_object(llvm.parse_assembly("define i64 @other() {\n ret i64 1\n}"))
    with pytest.raises(NativeError, match=ENTRY):
        load_code(code)


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "x86_64-apple-darwin", "x86_64-pc-windows-msvc-elf"])
def test_undefined_symbols(triple: str) -> None:
    """The formats of all three systems, made here."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        machine = llvm.Target.from_triple(triple).create_target_machine()
    except RuntimeError as error:
        pytest.skip(str(error))
    source = MISSING + "\n@data = external global i64\ndefine i64 @g() {\n %v = load i64, ptr @data\n ret i64 %v\n}"
    module = llvm.parse_assembly(f'target triple = "{triple}"\n@shared = common global i64 0\n{source}')
    assert undefined_symbols(machine.emit_object(module)) == ("data", "no_such_function")


def test_undefined_symbols_of_something_else() -> None:
    """Said, not guessed."""
    with pytest.raises(ValueError, match="neither"):
        undefined_symbols(b"MZ")


# --------------------------------------------------------------------------------------------------------------- images
images = pytest.mark.skipif(not image.can_map(), reason="there are no images on this system")


def _object(ir: str, symbol: str) -> bytes:
    """The object file that an image is made of."""
    machine = target_machine()
    module = llvm.parse_assembly(ir)
    module.link_in(llvm.parse_assembly(f"declare i64 @{symbol}(ptr)\n" + ENTRY_IR.replace("SYMBOL", symbol)))
    return machine.emit_object(module)  # type: ignore[no-any-return]


ENTRY_IR = f"define i64 @{ENTRY}(ptr %table) {{\n %r = call i64 @SYMBOL(ptr %table)\n ret i64 %r\n}}"
CHOOSING = """
    @first = private constant [4 x i64] [i64 11, i64 22, i64 33, i64 44]
    @second = private constant [3 x double] [double 0.5, double 1.5, double 2.5]
    define i64 @choose(ptr %table) noinline {
        %n = load i64, ptr %table
        switch i64 %n, label %other [
            i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d  i64 4, label %e
        ]
    a:
        ret i64 7
    b:
        %p = getelementptr [4 x i64], ptr @first, i64 0, i64 %n
        %v = load i64, ptr %p
        ret i64 %v
    c:
        %q = getelementptr [3 x double], ptr @second, i64 0, i64 %n
        %w = load double, ptr %q
        %x = fmul double %w, 10.0
        %y = fptosi double %x to i64
        ret i64 %y
    d:
        %size = load i64, ptr %table
        %to = getelementptr i64, ptr %table, i64 1
        call void @llvm.memset.p0.i64(ptr %to, i8 1, i64 %size, i1 false)
        %from = getelementptr i64, ptr %table, i64 2
        call void @llvm.memcpy.p0.p0.i64(ptr %from, ptr %to, i64 %size, i1 false)
        call void @llvm.memmove.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
        %last = load i64, ptr %from
        ret i64 %last
    e:
        ret i64 99
    other:
        ret i64 -1
    }
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
    declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
"""
"""Jumps by a table, constants in several sections, and all of the C library that an image may call."""


@images
@pytest.mark.parametrize(("n", "answer"), [(0, 7), (1, 22), (2, 25), (3, 0x010101), (4, 99), (5, -1)])
def test_an_image_does_what_its_object_does(n: int, answer: int) -> None:
    """Loaded by us, and by LLVM."""
    import ctypes
    from array import array

    code = _object(CHOOSING, "choose")
    linked = link_image(code, ENTRY)
    assert all(image.HEADER.unpack_from(linked)[2:])
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(load_object(code, ENTRY))
    for call in (load_code(linked), function):
        table = array("q", [n, 0, 0, 0])
        assert call(table.buffer_info()[0]) == answer


@images
@pytest.mark.parametrize(
    ("ir", "why"),
    [
        (MISSING, "no_such_function"),
        ("@data = global i64 1\ndefine i64 @f(ptr %t) {\n %v = load i64, ptr @data\n ret i64 %v\n}", "written"),
        ("@data = external global i64\ndefine i64 @f(ptr %t) {\n %v = load i64, ptr @data\n ret i64 %v\n}", "type"),
    ],
)
def test_what_no_image_can_be_made_of(ir: str, why: str) -> None:
    """LLVM loads it, or says what is missing."""
    with pytest.raises(NotLinkableError, match=why):
        link_image(_object(ir, "f"), ENTRY)


@images
def test_only_objects_for_this_processor_are_linked() -> None:
    """And only what has the entry."""
    code = _object(SPIN, "spin")
    with pytest.raises(NotLinkableError, match="x86-64"):
        link_image(code[:0x12] + b"\xb7" + code[0x13:], ENTRY)
    with pytest.raises(NotLinkableError, match="other"):
        link_image(code, "other")


@images
def test_an_image_that_is_cut_off() -> None:
    """Never reached by way of the cache; it must not run into nothing."""
    linked = link_image(_object(SPIN, "spin"), ENTRY)
    for size in (image.HEADER.size - 1, image.HEADER.size, image.HEADER.size + image.SLOT.size - 1):
        with pytest.raises(NativeError, match="cut off"):
            load_code(linked[:size])


@images
def test_a_system_without_executable_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardened ones refuse it."""
    import mmap

    monkeypatch.setattr(mmap, "PROT_EXEC", 1 << 20)  # what no system knows
    with pytest.raises(NativeError, match="no executable memory"):
        load_code(link_image(_object(SPIN, "spin"), ENTRY))


def test_the_processor_without_its_description(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then LLVM is asked."""
    monkeypatch.setattr(host, "_MODALIAS", os.devnull)
    assert host.processor().startswith(find_target(HOST).cpu)
