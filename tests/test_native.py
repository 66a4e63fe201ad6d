"""The compiled kernels as processes meet them: whatever is wrong with the cache, the answer is right.

Each test runs children with a cache folder of their own. Most use `canned_kernels`, which compile in milliseconds and
write down each compilation.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rer_numba.locks import host_name
from rer_numba.native.cache import HEADER_SIZE, KEY_SIZE, MAGIC, SUFFIX
from tests.process import PATIENCE, wait_until

HERE = Path(__file__).parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
CANNED = 16
WAITS = "waiting for it"
DUMMY = 30


class Outcome(NamedTuple):
    """What a child printed, wrote to stderr and returned."""

    said: dict[str, Any]
    stderr: str


class Child:
    """A process that runs; what it writes to stderr is read meanwhile."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self._said.extend(self.process.stderr)

    def has_said(self, text: str) -> bool:
        """Whether it has written a line with this text to stderr."""
        return any(text in line for line in self._said)

    def end(self) -> tuple[str, str]:
        """Wait for its end; return what it has written."""
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            out = stdout.read()
        self.process.wait(PATIENCE)
        self._reader.join()
        return out, "".join(self._said)


class World:
    """A cache folder, a log of compilations, and children that use them.

    Attributes
    ----------
    until : Path
        Given as ``CANNED_UNTIL``: canned compilations go on until this file is there.
    """

    def __init__(self, folder: Path) -> None:
        self.until = folder / "until"
        self.cache = folder / "cache"
        self.log = folder / "log"
        self.kernels = folder / "kernels"
        self.shipped = folder / "shipped"
        self.kernels.mkdir()
        for name in ("canned_kernels.py", "dummy_kernels.py"):
            shutil.copy(HERE / name, self.kernels)

    def start(
        self, action: str = "plain", *, module: str = "canned_kernels", options: tuple[str, ...] = (), **env: str | None
    ) -> Child:
        """Start a child; an environment variable that is None is taken away."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RER_NUMBA_", "NUMBA_"))}
        whole = {**inherited, "RER_NUMBA_CACHE_DIR": str(self.cache), "CANNED_LOG": str(self.log), **env}
        command = [sys.executable, *options, str(HERE / "native_child.py"), action, module]
        env_given = {k: v for k, v in whole.items() if v is not None}
        return Child([*command, str(self.kernels), str(self.shipped)], env_given)

    def finish(self, child: Child) -> Outcome:
        """Wait for a child that must end well."""
        out, err = child.end()
        assert child.process.returncode == 0, err
        return Outcome(json.loads(out), err)

    def run(self, action: str = "plain", **options: Any) -> Outcome:
        """Start a child and wait for it."""
        return self.finish(self.start(action, **options))

    def compilations(self) -> int:
        """How many canned compilations there were so far."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def objects(self) -> list[Path]:
        """The objects in the cache."""
        return sorted(self.cache.glob("*" + SUFFIX))

    def others(self) -> list[str]:
        """Anything else in the cache."""
        return sorted(p.name for p in self.cache.iterdir() if p.suffix != SUFFIX)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world without any object."""
    return World(tmp_path)


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world that `warm_world` copies."""
    world = World(tmp_path_factory.mktemp("first"))
    world.run()
    return world


@pytest.fixture
def warm_world(world: World, first_world: World) -> World:
    """A world with one object, of the canned kernels, and one compilation in its log."""
    shutil.copytree(first_world.cache, world.cache)
    shutil.copy(first_world.log, world.log)
    return world


# ------------------------------------------------------------------------------------------------------------ good days
def test_cold_compiles_and_warm_needs_no_numba(world: World) -> None:
    """The heart of it, with Numba's own IR."""
    cold = world.run(module="dummy_kernels")
    assert cold.said == {"answer": DUMMY, "imported": ["numba"], "told": 0}
    assert world.others() == []
    warm = world.run(module="dummy_kernels")
    assert warm == Outcome({"answer": DUMMY, "imported": [], "told": 0}, "")


@POSIX
def test_files_are_private(warm_world: World) -> None:
    """Nobody else can read or write what we run."""
    assert warm_world.cache.stat().st_mode & 0o777 == 0o700
    assert [p.stat().st_mode & 0o777 for p in warm_world.objects()] == [0o600]


def test_loading_twice_gives_one_function(world: World) -> None:
    """One engine for each process."""
    assert world.run("twice").said["same"]


def test_threads_share_one_compilation(world: World) -> None:
    """16 threads that need it at once."""
    outcome = world.run("threads", CANNED_UNTIL=str(world.until))
    assert outcome.said["same"] and outcome.said["answer"] == CANNED
    assert world.compilations() == 1


@POSIX
@pytest.mark.parametrize("action", ["fork", "fork_while_compiling"])
def test_forked_children_work(world: World, action: str) -> None:
    """Code stays in place across fork, and a guard that another thread held does not block the child."""
    outcome = world.run(action, **({"CANNED_UNTIL": str(world.until)} if action == "fork_while_compiling" else {}))
    assert outcome.said["child"] == 0 and outcome.said["answer"] == CANNED


def test_eight_cold_processes_compile_once(world: World) -> None:
    """One works, seven wait for its file."""
    children = [world.start(CANNED_UNTIL=str(world.until)) for _ in range(8)]
    wait_until(lambda: sum(child.has_said(WAITS) for child in children) == 7, "seven who wait")
    world.until.touch()
    outcomes = [world.finish(child) for child in children]
    assert [o.said["answer"] for o in outcomes] == [CANNED] * 8
    assert world.compilations() == 1
    assert world.others() == []


@POSIX
def test_waiting_ends_when_the_owner_is_killed(world: World) -> None:
    """A dead owner's lock is taken over at once, not after the patience for living ones."""
    owner = world.start(CANNED_UNTIL=str(world.until))
    wait_until(lambda: world.compilations() == 1, "the owner")
    waiting = [world.start() for _ in range(3)]
    wait_until(lambda: all(child.has_said(WAITS) for child in waiting), "three who wait")
    owner.process.kill()
    owner.end()
    assert [world.finish(child).said["answer"] for child in waiting] == [CANNED] * 3
    assert world.others() == []


@POSIX
def test_a_lock_of_a_dead_process_does_not_block(warm_world: World) -> None:
    """Left by a crash of this host."""
    [file] = warm_world.objects()
    file.unlink()
    lock = Path(f"{file}.lock")
    lock.write_text(f"{host_name()}.999999999.abc")
    assert warm_world.run().said["answer"] == CANNED
    assert not lock.exists() and warm_world.compilations() == 2


def test_a_very_old_lock_does_not_block(warm_world: World) -> None:
    """Left by a crash of another host."""
    [file] = warm_world.objects()
    file.unlink()
    lock = Path(f"{file}.lock")
    lock.write_text("elsewhere.1.abc")
    os.utime(lock, (1e9, 1e9))
    assert warm_world.run().said["answer"] == CANNED
    assert warm_world.others() == []


# --------------------------------------------------------------------------------------------------------- what is said
def test_compiling_says_two_lines(world: World) -> None:
    """One at the beginning, one at the end; no clock unless a terminal shows it."""
    lines = world.run().stderr.splitlines()
    assert len(lines) == 2
    assert "compiling" in lines[0] and lines[1].startswith("rer-numba: done in ")


def test_quiet_says_nothing(world: World) -> None:
    """``RER_NUMBA_QUIET=1``."""
    assert world.run(RER_NUMBA_QUIET="1") == Outcome({"answer": CANNED, "imported": [], "told": 0}, "")


@POSIX
def test_a_terminal_shows_a_clock(world: World) -> None:
    """The clock runs, and its line is empty at the end."""
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, str(HERE / "native_child.py"), "plain", "canned_kernels", str(world.kernels), "none"]
    files = {"RER_NUMBA_CACHE_DIR": world.cache, "CANNED_LOG": world.log, "CANNED_UNTIL": world.until}
    env = {**os.environ, **{name: str(path) for name, path in files.items()}}
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = ""
    while text.count("\rrer-numba:") < 2:
        text += os.read(ours, 10_000).decode()
    world.until.touch()
    assert child.wait(PATIENCE) == 0
    text += os.read(ours, 10_000).decode()
    assert "\r" + " " * 40 + "\r" in text


def test_no_stderr_is_no_trouble(world: World) -> None:
    """A program without a console."""
    assert world.run("without_stderr").said["answer"] == CANNED


# --------------------------------------------------------------------------------------------------------- damaged file
def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "half a header": lambda data: data[:40],
    "a header": lambda data: data[:HEADER_SIZE],
    "half": lambda data: data[: len(data) // 2],
    "one short": lambda data: data[:-1],
    "one more": lambda data: data + b"\0",
    "magic": _flip(2),
    "key": _flip(len(MAGIC) + 3),
    "length": _flip(len(MAGIC) + KEY_SIZE),
    "checksum": _flip(HEADER_SIZE - 1),
    "ELF header": _flip(HEADER_SIZE + 1),
    "code": _flip(HEADER_SIZE + 70),
    "last": _flip(-2),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(warm_world: World, damage: str) -> None:
    """Right answer, one compilation, and the same file as before afterwards."""
    [file] = warm_world.objects()
    good = file.read_bytes()
    file.write_bytes(DAMAGES[damage](good))
    assert warm_world.run().said["answer"] == CANNED
    assert warm_world.compilations() == 2
    assert file.read_bytes() == good


def test_eight_processes_meet_a_damaged_file(warm_world: World) -> None:
    """Waiting processes are not misled by a file that is there and bad."""
    [file] = warm_world.objects()
    file.write_bytes(file.read_bytes()[:-1])
    children = [warm_world.start(CANNED_UNTIL=str(warm_world.until)) for _ in range(8)]
    wait_until(lambda: sum(child.has_said(WAITS) for child in children) == 7, "seven who wait")
    warm_world.until.touch()
    assert [warm_world.finish(child).said["answer"] for child in children] == [CANNED] * 8
    assert warm_world.compilations() == 2


def test_a_folder_in_place_of_the_file(warm_world: World) -> None:
    """Cannot be replaced: a warning."""
    [file] = warm_world.objects()
    file.unlink()
    (file / "inner").mkdir(parents=True)
    outcome = warm_world.run()
    assert outcome.said["answer"] == CANNED and "cannot be written" in outcome.stderr
    assert warm_world.others() == []


@POSIX
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_things_that_are_no_files(warm_world: World, kind: str, tmp_path: Path) -> None:
    """Not followed, not waited for, replaced."""
    [file] = warm_world.objects()
    if kind == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    else:
        file.unlink()
        file.symlink_to(tmp_path / "nowhere") if kind == "dangling link" else os.mkfifo(file)
    assert warm_world.run().said["answer"] == CANNED
    assert warm_world.compilations() == 2 and file.is_file() and not file.is_symlink()


# ----------------------------------------------------------------------------------------------------- others can write
@POSIX
@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("mode", [0o707, 0o720])
def test_what_others_can_write_is_not_run(warm_world: World, what: str, mode: int) -> None:
    """A warning, and a compilation of one's own."""
    [file] = warm_world.objects()
    target = file if what == "file" else warm_world.cache
    target.chmod(mode)
    outcome = warm_world.run()
    assert outcome.said == {"answer": CANNED, "imported": [], "told": 1}
    assert "written by others" in outcome.stderr
    assert warm_world.compilations() == 2
    # a bad file in a good folder is replaced, a bad folder is left alone
    assert warm_world.run().said["told"] == (0 if what == "file" else 1)


@POSIX
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_others_is_not_run(warm_world: World, what: str) -> None:
    """Even if only they can write it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    [file] = warm_world.objects()
    os.chown(file if what == "file" else warm_world.cache, 12345, 12345)
    outcome = warm_world.run()
    assert outcome.said["answer"] == CANNED and "belongs to another user" in outcome.stderr
    assert warm_world.compilations() == 2


# ------------------------------------------------------------------------------------------------------- no good folder
def _places_without_room(tmp_path: Path) -> dict[str, dict[str, str | None]]:
    file = tmp_path / "file"
    file.write_text("")
    no_home = {"RER_NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": None, "LOCALAPPDATA": None}
    return {
        "a file": {"RER_NUMBA_CACHE_DIR": str(file)},
        "under a file": {"RER_NUMBA_CACHE_DIR": str(file / "deeper" / "still")},
        "read-only": {"RER_NUMBA_CACHE_DIR": "/proc/rer-numba"},
        "missing home": {**no_home, "HOME": str(tmp_path / "nobody")},
        "no home": {**no_home, "HOME": ""},
        "home is a file": {**no_home, "HOME": str(file)},
    }


@pytest.mark.parametrize("place", ["a file", "under a file", "read-only", "missing home", "no home", "home is a file"])
def test_without_a_folder_work_goes_on(world: World, tmp_path: Path, place: str) -> None:
    """Compiled in memory, with one warning, which is no exception even where warnings are."""
    options = ("-W", "error") if place in ("a file", "no home") else ()
    if place == "read-only" and not Path("/proc").exists():
        pytest.skip("no /proc")
    outcome = world.run(options=options, RER_NUMBA_QUIET="1", **_places_without_room(tmp_path)[place])
    assert outcome.said == {"answer": CANNED, "imported": [], "told": 1}
    assert "every process compiles them" in outcome.stderr or "not used" in outcome.stderr
    assert not (tmp_path / "nobody").exists()


@POSIX
def test_a_full_disk(world: World) -> None:
    """A warning, no half file, no temporary file."""
    outcome = world.run("disk_full")
    assert outcome.said["answer"] == CANNED and "cannot be written" in outcome.stderr
    assert list(world.cache.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- other objects
def test_an_edit_asks_for_new_code(warm_world: World) -> None:
    """The new answer, and the old file stays for whoever still has the old source."""
    source = warm_world.kernels / "canned_kernels.py"
    source.write_text(source.read_text().replace("FACTOR = 3", "FACTOR = 4"))
    assert warm_world.run().said["answer"] == CANNED + 5
    assert len(warm_world.objects()) == 2
    source.write_text(source.read_text().replace("FACTOR = 4", "FACTOR = 3"))
    assert warm_world.run().said["answer"] == CANNED
    assert warm_world.compilations() == 2


def test_settings_of_numba_ask_for_new_code(warm_world: World) -> None:
    """Those that change code; a cache folder does not."""
    warm_world.run(NUMBA_CACHE_DIR="/somewhere", NUMBA_NUM_THREADS="2")
    assert warm_world.compilations() == 1
    warm_world.run(NUMBA_BOUNDSCHECK="1")
    assert warm_world.compilations() == 2 and len(warm_world.objects()) == 2


def test_a_named_cpu_is_compiled_in_a_child(world: World) -> None:
    """The process itself stays without Numba, and this machine's own object is not touched by it."""
    outcome = world.run(module="dummy_kernels", RER_NUMBA_CPU="generic", RER_NUMBA_QUIET="1")
    assert outcome == Outcome({"answer": DUMMY, "imported": [], "told": 0}, "")
    assert [p.name.partition("-")[0] for p in world.objects()] == ["generic"]
    assert world.run(module="dummy_kernels").said["imported"] == ["numba"]
    assert len(world.objects()) == 2


def test_a_machine_below_the_named_level(world: World) -> None:
    """Code for this machine, with a warning."""
    outcome = world.run("weak_machine", RER_NUMBA_CPU="x86-64-v2")
    assert outcome.said["answer"] == CANNED and "lacks a-feature-of-2040" in outcome.stderr


@pytest.mark.parametrize("name", ["../../x", "a b", "-x"])
def test_no_name_of_a_cpu(world: World, name: str) -> None:
    """Ignored, with a warning."""
    outcome = world.run(RER_NUMBA_CPU=name)
    assert outcome.said["answer"] == CANNED and "cannot be the name" in outcome.stderr


def test_an_application_that_is_no_interpreter(world: World) -> None:
    """No child can be started, so code for this machine must do."""
    outcome = world.run("embedded", RER_NUMBA_CPU="generic")
    assert outcome.said["answer"] == CANNED and "using code for this machine" in outcome.stderr


def test_shipped_objects_are_used(world: World) -> None:
    """By a process without Numba or a home; not by one that wants its own or other settings."""
    made = world.run("warm", WARM="generic", WARM_FOLDER=str(world.shipped)).said["made"]
    assert [m[0] for m in made] == ["generic"] and Path(made[0][1]).parent == world.shipped
    before = world.compilations()
    outcome = world.run("without_numba", RER_NUMBA_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME="")
    assert outcome == Outcome({"answer": CANNED, "imported": [], "told": 0}, "")
    assert world.compilations() == before and not world.cache.exists()
    world.run(RER_NUMBA_CPU="generic")
    assert world.compilations() == before
    world.run(NUMBA_BOUNDSCHECK="1")
    assert world.compilations() == before + 1
    world.run("host")
    assert world.compilations() == before + 2


def test_a_damaged_shipped_object_is_not_used(world: World) -> None:
    """The package's own files are checked as well."""
    [[_, path, *_]] = world.run("warm", WARM="generic", WARM_FOLDER=str(world.shipped)).said["made"]
    Path(path).write_bytes(_flip(-3)(Path(path).read_bytes()))
    assert world.run().said["answer"] == CANNED
    assert len(world.objects()) == 1


def test_warmup(world: World) -> None:
    """Objects are made once, and found afterwards."""
    [first] = world.run("warm", WARM="host").said["made"]
    [again] = world.run("warm", WARM="host").said["made"]
    assert first[:2] == again[:2] and first[3] == again[3] > 0
    assert first[2] > 0 and again[2] == 0
    assert world.run().said["answer"] == CANNED and world.compilations() == 1


def test_sources_that_cannot_be_read(world: World) -> None:
    """Code that nothing can be known about is compiled, and not kept."""
    (world.kernels / "canned_kernels.py").unlink()
    outcome = world.run(PYTHONPATH=str(HERE))
    assert outcome.said["answer"] == CANNED and "cannot be read" in outcome.stderr
    assert not world.cache.exists()


def test_without_numba_and_without_an_object(world: World) -> None:
    """An error that says what is missing."""
    error = world.run("without_numba", module="dummy_kernels").said["error"]
    assert "making them needs numba" in error and "pip install 'numba" in error
