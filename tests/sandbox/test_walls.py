"""The hostile corpus against every level of isolation: nothing in it may have an effect, and why not is left
to the walls. What the language policy alone cannot hold is listed, and is the reason for the kernel wall."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import resource
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genprm_sdk.errors import SandboxError, SandboxUnavailable
from genprm_sdk.sandbox import Isolation, Limits, Sandbox, Session
from genprm_sdk.sandbox.sandbox import RESERVE
from genprm_sdk.sandbox.wire import printable
from genprm_sdk.types import CodeRun

from .hostile_corpus import CORPUS, EFFECTS, FORGE, HOLES, Hostile, asking

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

LEVELS: tuple[Isolation, ...] = ("kernel+language", "kernel", "language")
LIMITS = Limits(wall_seconds=1, memory_mb=256, output_chars=2_000, output_stop=100_000)
TOGETHER = 8
PATIENCE = 2.0
"""Seconds that a block may outlive its wall-clock limit by, and a process its session."""
SLACK = 64 * 1024
"""KiB of memory beyond the limit: the worker's reserve, and as much again for what libraries load late."""
BLOCKED = 1.0
"""Seconds of the event loop's own computing without a turn for anybody else."""

BY_HOLES = tuple(f", by {hole}" for hole in HOLES)

KNOWN_WITHOUT_KERNEL = frozenset(
    {
        # What has become code past the policy is all of Python.
        *(block.name for block in CORPUS if block.name.endswith(BY_HOLES)),
        # A path goes to a function that opens it, and none of these is named in the policy's tables.
        "secret: numpy DataSource",
        "secret: numpy records",
        "secret: sympy's packaged data",
        "file: numpy dump",
        "file: numpy DataSource to write",
        "file: numpy open_memmap to write",
        "file: scipy save_npz",
        "file: sympy codegen",
        "connection: numpy fetches",
        # sympy makes code of text in more places than the one that is guarded.
        "secret, sneaky: lambdify of a text",
        "secret, sneaky: lambdify of a name",
        "secret, sneaky: lambdify of an argument",
        "secret, sneaky: sympy's other parser",
        # sympy imports what it is told to.
        "secret, sneaky: sympy's old import",
        "secret, sneaky: sympy finds a class",
        # The names of the guards can be bound from outside of the block's own source.
        "secret, sneaky: a name injected by sympy",
        "secret, sneaky: an enumeration of guards",
        # functools evaluates annotations that are text.
        "secret, sneaky: an annotation",
        # A class made by calling `type` names the attributes that a pattern reads.
        "secret, sneaky: a pattern's attributes",
        "secret, sneaky: numpy's helpers",
        # `time` is allowed as a whole, and here asks nothing that only root may.
        "admitted: the clock",
    }
)

libc = ctypes.CDLL(None)

# ----------------------------------------------------------------------------------------- what blocks meet


class Stage:
    """What one block can lay its hands on, made for it alone; says afterwards what has happened to it."""

    def __init__(self, place: Path, block: Hostile) -> None:
        self.secrets = [secrets.token_hex(8) for _ in range(3)]
        self.proof, self.marker = secrets.token_hex(8), secrets.token_hex(8)
        self._folder = place / "folder"
        self._victim: subprocess.Popen[bytes] | None = None
        self._listening: list[socket.socket] = []
        self._closing = contextlib.ExitStack()
        content, listed, self._environment = self.secrets
        private = place / "private"
        for folder in (private, self._folder, self._folder / "sub"):
            folder.mkdir(parents=True)
        (private / "secret.py").write_text(f'token = "{content}"\n')
        (private / f"listed-{listed}").touch()
        (self._folder / "seed.txt").write_text("seed")
        (self._folder / "run.sh").write_text("exit\n")
        values: dict[str, object] = {
            "SECRET": private / "secret.py",
            "SECRETS": private,
            "FOLDER": self._folder,
            "HOST": os.getpid(),
            "PROOF": self.proof,
            "MARKER": self.marker,
        }
        with self._closing:
            if "@PORT@" in block.code:
                values["PORT"] = self._listen(socket.AF_INET, ("127.0.0.1", 0))[1]
            if "@UDP@" in block.code:
                values["UDP"] = self._listen(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM)[1]
            if "@UNIX@" in block.code:
                values["UNIX"] = self._listen(socket.AF_UNIX, str(place / "unix"))
            if "@ABSTRACT@" in block.code:
                values["ABSTRACT"] = self._listen(socket.AF_UNIX, f"\0{secrets.token_hex(8)}")[1:].decode()
            if "@VICTIM@" in block.code:
                values["VICTIM"] = self._start_victim().pid
            self.code = block.filled(values)
            self._before = (self._files(), self._victims_state())
            self._closing = self._closing.pop_all()

    def close(self) -> None:
        self._closing.close()

    def effects(self) -> Iterator[str]:
        """What has happened here since the beginning."""
        files, victim = self._before
        if self._files() != files:
            yield "file"
        if self._victims_state() != victim:
            yield "signal"
        if select.select(self._listening, [], [], 0)[0]:
            yield "connection"

    def told(self, run: CodeRun) -> Iterator[str]:
        """What a block's CodeRun tells of this stage."""
        text = f"{run.stdout} {run.error_type} {run.message} {run.feedback}"
        if any(secret in text for secret in self.secrets) or "root:x:0" in text:
            yield "secret"
        if self.proof in text:
            yield "admitted"

    def _listen(self, family: int, address: Any, kind: int = socket.SOCK_STREAM) -> Any:
        made = self._closing.enter_context(socket.socket(family, kind))
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        self._listening.append(made)
        return made.getsockname()

    def _start_victim(self) -> subprocess.Popen[bytes]:
        self._victim = subprocess.Popen(
            ["sleep", "60"],
            env={"TOKEN": self._environment, "PATH": os.defpath},
            start_new_session=True,
            preexec_fn=be_nobody_special,
        )
        self._closing.callback(self._victim.wait)
        self._closing.callback(self._victim.kill)
        return self._victim

    def _files(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in (self._folder, *self._folder.rglob("*")):
            about = path.lstat()
            content = path.read_text(errors="replace") if path.is_file() and not path.is_symlink() else ""
            found[str(path)] = (
                (about.st_mode, about.st_nlink, about.st_uid, about.st_gid, about.st_ino, about.st_mtime_ns),
                (content, os.listxattr(path, follow_symlinks=False)),
            )
        return found

    def _victims_state(self) -> tuple[Any, ...] | None:
        if self._victim is None:
            return None
        pid = self._victim.pid
        parts = stat(pid)
        if not parts or parts[0] in "TtZX":
            return ()
        tracer = [line for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("TracerPid")]
        group, session, nice, policy = (parts[index] for index in (2, 3, 16, 38))
        return (
            *(group, session, nice, policy, tracer, os.sched_getaffinity(pid)),
            *(resource.prlimit(pid, resource.RLIMIT_NOFILE), read(f"/proc/{pid}/oom_score_adj")),
        )


def read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def stat(pid: int) -> list[str]:
    """The fields of a process after its name, the state first; none if it is gone."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def parent_of(pid: int) -> int:
    return int([*stat(pid), "0", "0"][1])


def descendants(root: int) -> set[int]:
    """All processes that come from one, but for dead ones."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and is_alive(int(name)):
            children.setdefault(parent_of(int(name)), []).append(int(name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        more = children.get(waiting.pop(), [])
        found.update(more)
        waiting.extend(more)
    return found


async def all_gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def peak_memory(pid: int | None) -> int:
    """The most memory that a process has held, in KiB; 0 if that cannot be told any more."""
    found = re.search(r"VmHWM:\s+(\d+)", read(f"/proc/{pid}/status")) if pid else None
    return int(found[1]) if found else 0


def be_nobody_special() -> None:
    """Lose root's capabilities, also for the program that comes next: blocks have none to match them."""
    libc.prctl(28, 3, 0, 0, 0)
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


def set_reaper(on: bool) -> None:
    """Whether orphans among this process's descendants become its children: no other place to hide."""
    assert libc.prctl(36, int(on), 0, 0, 0) == 0
    if not on:
        own = os.getpid()
        for pid in map(int, read(f"/proc/{own}/task/{own}/children").split()):
            if not is_alive(pid):
                os.waitpid(pid, os.WNOHANG)


# ------------------------------------------------------------------------------------------- one isolation

FINGERPRINT = """
import collections, decimal, fractions, json, math, numbers, random, re, numpy, sympy
values = [math.sqrt(16.0), math.pi, len([1, 2]), sum([1, 2]), 7 + 0, (7).bit_count(), random.random()]
values += [fractions.Fraction(1, 2) + 1, json.loads('[1]'), isinstance('', numbers.Integral)]
values += [decimal.Decimal(1) / 7, numpy.random.rand(), float(numpy.sum(numpy.ones(3))), numpy.float64(2)]
values += [numpy.array([1 / 3]), sympy.Integer(2) + 3, sympy.solve(sympy.Symbol('x') ** 2 - 4), sympy.pi]
print(values, sympy.sympify('2*x'), sorted(dir()), re.findall('a', 'aa'), collections.Counter('aab'))
"""


@dataclass
class Walled:
    """A sandbox of one isolation, and what was true of it before anything hostile ran."""

    sandbox: Sandbox
    isolation: Isolation
    place: Path
    others: set[int]
    server: int = 0
    fingerprint: str = ""
    memory: int = 0
    trials: int = 0

    async def look_around(self) -> None:
        async with self.sandbox.session() as session:
            run = await session.run(FINGERPRINT)
            assert run.status == "ok", run
            assert session.pid is not None
            self.fingerprint = run.stdout
            self.server = parent_of(session.pid)
            self.memory = peak_memory(session.pid)

    async def is_poisoned(self) -> bool:
        async with self.sandbox.session() as session:
            try:
                return (await session.run(FINGERPRINT)).stdout != self.fingerprint
            except SandboxError:
                return True

    async def has_lost_its_server(self, server: int) -> bool:
        """Whether the server is dead; looks around in the next one, so that what follows can tell again."""
        if is_alive(server):
            return False
        if self.server == server:
            await self.look_around()
        return True

    async def try_out(self, block: Hostile) -> set[str]:
        """Run one block in a session of its own; says everything that came of it."""
        self.trials += 1
        stage = Stage(self.place / str(self.trials), block)
        found: set[str] = set()
        forked: set[int] = set()
        server = self.server
        with contextlib.closing(stage):
            session = self.sandbox.session()
            watching = asyncio.ensure_future(self._memory_grows(session, block.effect == "limit"))
            try:
                async with asyncio.timeout(30):
                    run = await session.run(stage.code)
                    found.update(stage.told(run), self._claims(run, stage.code))
                    forked.update(int(pid) for pid in re.findall(r"forked (\d+)", run.stdout))
                    if block.effect == "forged" and await _is_forged(session, stage.marker):
                        found.add("forged")
                    if block.effect == "poison" and await self.is_poisoned():
                        found.add("poison")
            except Exception as error:
                found.add(f"raised {type(error).__name__}: {error}")
            finally:
                watching.cancel()
                await asyncio.wait([watching])
                await session.close()
            if not watching.cancelled() and watching.result():
                found.add("limit")
            if not await all_gone(forked):
                found.add("process")
                end_processes(forked)
            found.update(stage.effects())
        if await self.has_lost_its_server(server):
            found.add("the server died meanwhile")
        return found

    def _claims(self, run: CodeRun, code: str) -> Iterator[str]:
        if run.duration > LIMITS.wall_seconds + PATIENCE:
            yield "slow"
        if len(run.stdout) > LIMITS.output_chars:
            yield "output"
        about = (run.error_type or "", run.message or "")
        if any(len(text) > LIMITS.output_chars for text in (*about, run.feedback)) or "\n" in "".join(about):
            yield "output"
        only_the_host_knows = run.status == "closed" or (
            run.status == "timeout" and run.duration < 0.9 * LIMITS.wall_seconds
        )
        if only_the_host_knows or run.isolation not in ("", self.isolation) or run.code != printable(code):
            yield "forged"

    async def _memory_grows(self, session: Session, watch: bool) -> bool:
        most = self.memory + 1024 * LIMITS.memory_mb + SLACK
        while True:
            await asyncio.sleep(0.02)
            if watch and peak_memory(session.pid) > most:
                return True


async def _is_forged(session: Session, marker: str) -> bool:
    # Time for whatever was left behind to speak up.
    await asyncio.sleep(0.25)
    token = secrets.token_hex(8)
    run = await session.run(f"print('{token}')")
    return (run.status == "ok" and run.stdout != f"{token}\n") or marker in f"{run.stdout}{run.feedback}"


def end_processes(pids: set[int]) -> None:
    for pid in pids & descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Turns:
    """Sees whether this event loop gives everybody a turn."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Turns:
        self._task = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        # The thread's own time: a machine that is busy with something else is not our doing.
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module", params=LEVELS)
async def walled(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Walled]:
    # A path of pytest's own would be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="walls-") as place:
        set_reaper(True)
        others = descendants(os.getpid())
        try:
            async with Sandbox(LIMITS, isolation=request.param) as sandbox:
                try:
                    await sandbox.ready()
                except SandboxUnavailable as error:
                    pytest.skip(str(error))
                made = Walled(sandbox, request.param, Path(place), others)
                await made.look_around()
                yield made
        finally:
            set_reaper(False)


# --------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("effect", EFFECTS)
async def test_nothing_gets_out(walled: Walled, effect: str) -> None:
    def is_meant(block: Hostile) -> bool:
        # Where there is no policy to get past, what was smuggled is the plain block once more.
        return block.effect == effect and not (walled.isolation == "kernel" and block.name.endswith(BY_HOLES))

    await walled.has_lost_its_server(walled.server)
    turns = asyncio.Semaphore(TOGETHER)

    async def try_out(block: Hostile) -> str | None:
        async with turns:
            found = await walled.try_out(block)
        if walled.isolation == "language" and block.name in KNOWN_WITHOUT_KERNEL:
            found.discard(effect)
        return f"{block.name}: {', '.join(sorted(found))}" if found else None

    async with Turns() as host:
        lines = await asyncio.gather(*(try_out(block) for block in CORPUS if is_meant(block)))
    failures = [line for line in lines if line]
    # More sessions than there are workers in reserve: some of them are made only now.
    poisoned = any(await asyncio.gather(*(walled.is_poisoned() for _ in range(4))))
    if await walled.has_lost_its_server(walled.server):
        failures.append("all together: the server died")
    elif poisoned:
        failures.append("all together: poison")
    if host.longest > BLOCKED:
        failures.append(f"all together: slow, {host.longest:.1f} seconds of the host in one go")
    assert not failures, "\n".join([f"{walled.isolation}:", *failures])


async def test_the_corpus_bites(walled: Walled) -> None:
    """Blocks are stopped by a wall, not by what they lack to get there."""
    probe = asking("print(ask('getpid') == (os.getpid(), 0), refused((-1, 1)))")
    codes = [probe]
    if walled.isolation != "kernel":
        codes = [template.replace("@SOURCE@", repr(probe)) for template in HOLES.values()]
    for code in codes:
        async with walled.sandbox.session() as session:
            run = await session.run(code)
            assert run.stdout.startswith("True True\n"), (code, run)


BACKGROUND = {
    "goes on": "",
    "goes on, deaf": """
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
""",
    "goes on, with more time": """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_CPU)
resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
""",
}


async def test_a_forged_ending_buys_no_time(walled: Walled) -> None:
    if walled.isolation == "language":
        pytest.skip("the language policy alone is no boundary")

    async def lasts(name: str) -> str | None:
        code = f"{FORGE}{BACKGROUND[name]}\ntell(run=RUN, status='ok', truncated=False)\nwhile True: pass"
        if walled.isolation != "kernel":
            code = HOLES["get_class"].replace("@SOURCE@", repr(code))
        async with walled.sandbox.session() as session:
            await session.run(code)
            pid, deadline = session.pid, time.monotonic() + 12
            while pid is not None and is_alive(pid) and time.monotonic() < deadline:
                user, system = stat(pid)[11:13]
                seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
                if seconds > LIMITS.wall_seconds + 1 + PATIENCE:
                    return f"{name}: {seconds} seconds of computing, though its block has ended"
                await asyncio.sleep(0.1)
        return None

    lines = [line for line in await asyncio.gather(*map(lasts, BACKGROUND)) if line]
    assert not lines, "\n".join([f"{walled.isolation}:", *lines])


COPIES = {
    "closes its gate": "os.close(4)",
    "does nothing": "",
    "asks for three": """
def copies():
    for _ in range(3):
        if ask('clone', 0x8011, 0, 0, 0, 0)[0] == 0:
            time.sleep(5)
            os._exit(0)
    return 1
worker.copy_process = copies
""",
    "is silent": """
def copies():
    if ask('clone', 0x8011, 0, 0, 0, 0)[0] == 0:
        time.sleep(5)
        os._exit(0)
    return 1
worker.copy_process = copies
""",
    "dies": """
def copies():
    if ask('clone', 0x8011, 0, 0, 0, 0)[0] == 0:
        os._exit(0)
    return 1
worker.copy_process = copies
""",
    "does not copy itself": "worker.copy_process = lambda: 1",
    "takes itself for the copy": "worker.copy_process = lambda: 0",
    "dies when asked": "worker.copy_process = lambda: os._exit(0)",
    "is copied, then asks again": """
made = worker.copy_process
def copies():
    pid = made()
    if pid == 0:
        for _ in range(3):
            if ask('clone', 0x8011, 0, 0, 0, 0)[0] == 0:
                time.sleep(5)
                os._exit(0)
    return pid
worker.copy_process = copies
""",
}
"""What a hostile session does when it is to be copied."""


@pytest.mark.parametrize("name", COPIES)
async def test_a_hostile_session_makes_no_more_copies_than_asked_for(walled: Walled, name: str) -> None:
    if walled.isolation == "language":
        pytest.skip("the language policy alone is no boundary")
    code = asking("import os, sys, time\nworker = sys.modules['genprm_inside.worker']\n" + COPIES[name])
    if walled.isolation != "kernel":
        code = HOLES["get_class"].replace("@SOURCE@", repr(code))
    async with walled.sandbox.session() as session:
        run = await session.run(code)
        assert run.status == "ok", run
        with contextlib.suppress(SandboxError):
            async with await session.fork() as copy:
                assert (await copy.run("print(6 * 7)")).stdout == "42\n"
        poisoned = await walled.is_poisoned()
    assert not await walled.has_lost_its_server(walled.server)
    assert not poisoned
    deadline = time.monotonic() + PATIENCE
    while len(left := descendants(walled.server)) > RESERVE + 1:
        assert time.monotonic() < deadline, f"{left} are left over"
        await asyncio.sleep(0.05)


async def test_begging_to_be_copied_ends_no_server(walled: Walled) -> None:
    """Sessions that are ended while they beg: what they asked last must not find the server unprepared."""
    if walled.isolation == "language":
        pytest.skip("the language policy alone is no boundary")
    code = asking(
        "while True:\n    if ask('clone', 0x8011, 0, 0, 0, 0)[0] == 0:\n        ask('exit_group', 0)"
    )
    if walled.isolation != "kernel":
        code = HOLES["get_class"].replace("@SOURCE@", repr(code))
    server = walled.server

    async def beg() -> str:
        async with walled.sandbox.session() as session:
            return (await session.run(code)).status

    endings = await asyncio.gather(*(beg() for _ in range(TOGETHER)), return_exceptions=True)
    assert not await walled.has_lost_its_server(server), endings
    assert endings == TOGETHER * ["timeout"]


async def test_copies_die_with_their_server(walled: Walled) -> None:
    """Also the copies of a session that saw to it that they are not told."""
    if walled.isolation == "language":
        pytest.skip("the language policy alone is no boundary")
    code = "import sys\nsys.modules['genprm_inside.worker'].die_with = lambda parent: None"
    deaf = "while True:\n    try:\n        import time\n        time.sleep(9)\n    except BaseException: pass"
    if walled.isolation != "kernel":
        code = HOLES["get_class"].replace("@SOURCE@", repr(code))
    async with Sandbox(LIMITS, isolation=walled.isolation) as sandbox, sandbox.session() as session:
        assert (await session.run(code)).status == "ok"
        with contextlib.suppress(SandboxError):
            async with await session.fork() as copy:
                await copy.run("pass")
                assert session.pid is not None
                running = asyncio.ensure_future(copy.run(deaf))
                await asyncio.sleep(0.1)
                server, pids = parent_of(session.pid), {session.pid, copy.pid or 0}
                os.kill(server, signal.SIGKILL)
                await asyncio.wait([running])
                gone = await all_gone(pids - {0})
                end_processes(pids)
                assert gone
                with contextlib.suppress(SandboxError):
                    running.result()


async def test_all_is_as_before(walled: Walled) -> None:
    """The last one of an isolation: honest blocks still run, in the same server, and nothing is left over."""
    async with walled.sandbox.session() as session:
        run = await session.run("import sympy\nprint(sympy.factorint(360))")
        assert (run.status, run.feedback) == ("ok", "{2: 3, 3: 2, 5: 1}")
        assert session.pid is not None
        assert parent_of(session.pid) == walled.server
    await walled.sandbox.close()
    left = descendants(os.getpid()) - walled.others
    gone = await all_gone(left)
    end_processes(left)
    assert gone, f"{left} are left over"
    assert not is_alive(walled.server)
