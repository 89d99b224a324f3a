"""The kernel wall: what a worker may still ask of the kernel once it has confined itself.

Everything is refused but what is listed here: computing, its own memory, reading the libraries that lazy
imports need, and talking on the connections it already has. Knows system calls and paths. Seccomp and
Landlock themselves are two small packages of one young vendor; no other module touches them.

The one way to a new process is a copy of the session, which the server must have asked for: the kernel
hands every such request to the server (seccomp's user notification), and it lets one through at a time.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import os
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

__all__ = ["KernelWall", "WallUnavailable", "copy_process", "die_with", "drop_capabilities"]

ALLOWED = """
    read readv pread64 write writev lseek close fstat newfstatat stat lstat statx access faccessat faccessat2
    readlink readlinkat getcwd getdents64 dup dup2 dup3 poll ppoll
    sendto recvfrom sendmsg recvmsg getsockname getsockopt
    brk munmap mremap madvise futex sched_yield sched_getaffinity getcpu getrandom
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage
    getpid gettid getppid getuid geteuid getgid getegid uname
    set_robust_list set_tid_address rseq close_range exit exit_group
"""
"""System calls that need no look at their arguments."""

COPY_FLAGS = 0x8000 | signal.SIGCHLD
"""CLONE_PARENT: a copy is the server's child as the original is, so that the server can reap and kill it."""

PROT_WRITE, PROT_EXEC, MAP_ANONYMOUS = 2, 4, 0x20
O_TMPFILE, O_ASYNC = 0o20000000, 0o20000
DESCRIPTOR_COMMANDS = (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL)
"""Without those that set an owner, a lease or a notice: each of them has a signal sent to somebody."""

PR_SET_PDEATHSIG = 1
GET_NOTIF_SIZES, FIOCLEX = 3, 0x5451  # what taking hold of one's own listener asks for
CAPABILITY_VERSION = 0x20080522
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "gmpy2")


class WallUnavailable(Exception):
    """This system cannot build the wall; says what is missing."""


# Bound before the fork: looking up a C library opens files. PyDLL keeps the interpreter's lock.
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_locked: Any = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), what)
    return result


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, which must be ``parent``."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    # The signal is for a death that is still to come.
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the server is gone")


def drop_capabilities() -> None:
    """Give up every capability, root's too: limits that were lowered cannot be raised again."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def copy_process() -> int:
    """``os.fork`` with the original's parent as the copy's: its process id, or 0 in the copy."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_locked.syscall(_clone_number(), COPY_FLAGS, 0, 0, 0, 0))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _checked(pid, "clone")


def _clone_number() -> int:
    return 56 if os.uname().machine == "x86_64" else 220


class KernelWall:
    """What workers confine themselves with; prepared once, in the server.

    Args:
        files: Whether Landlock restricts what can be read.

    Raises:
        WallUnavailable: The kernel, or a container around us, does not let this be done.
    """

    def __init__(self, *, files: bool) -> None:
        if sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"):
            raise WallUnavailable("the kernel wall needs Linux on x86_64 or aarch64")
        self._seccomp = importlib.import_module("seccompy")
        self._notify = importlib.import_module("seccompy.notify")
        if not self._seccomp.supported():
            raise WallUnavailable("seccomp is not available: the kernel or a container's profile forbids it")
        self._filter = self._build_filter()
        self._filter.program  # noqa: B018 - compiles it here, not in each worker
        self._ruleset = self._build_ruleset() if files else None

    def confine(self) -> Any:
        """Confine this process for good; returns the listener for requests to be copied."""
        if self._ruleset is not None:
            self._ruleset.restrict()
        return self._filter.load()

    def listener(self, descriptor: int) -> Any:
        """A worker's listener from its file descriptor."""
        return self._notify.Listener(descriptor)

    def answer(self, listener: Any, allowed_pid: int | None) -> bool:
        """Answer one request to be copied; whether it was ``allowed_pid``'s and is let through."""
        try:
            request = listener.recv()
            if request.pid == allowed_pid:
                listener.respond(request.id, flags=self._notify.RespFlag.CONTINUE)
                return True
            listener.respond(request.id, error=errno.EPERM)
        except OSError as error:
            # ENOENT: whoever asked has been killed meanwhile.
            if error.errno != errno.ENOENT:
                raise
        return False

    def _build_filter(self) -> Any:
        seccomp = self._seccomp
        compare, op = seccomp.ArgCmp, seccomp.CmpOp
        built = seccomp.Filter(
            default=int(seccomp.Action.ERRNO) | errno.EPERM, flags=seccomp.FilterFlag.NEW_LISTENER
        )

        def bits(index: int, mask: int, value: int) -> Any:
            return compare(index, op.MASKED_EQ, value, mask)

        for name in ALLOWED.split():
            if _exists(seccomp, name):
                built.allow(name)
        written_to_run = [bits(2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC)]
        made_to_run = [bits(2, PROT_EXEC, PROT_EXEC), bits(3, MAP_ANONYMOUS, MAP_ANONYMOUS)]
        built.errno("mmap", errno.EPERM, args=written_to_run)
        built.errno("mmap", errno.EPERM, args=made_to_run)
        built.allow("mmap")
        built.allow("mprotect", args=[bits(2, PROT_EXEC, 0)])
        writing = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | O_TMPFILE
        built.allow("openat", args=[bits(2, writing, os.O_RDONLY)])
        for command in DESCRIPTOR_COMMANDS:
            built.allow("fcntl", args={1: command})
        built.allow("fcntl", args=[compare(1, op.EQ, fcntl.F_SETFL), bits(2, O_ASYNC, 0)])
        built.allow("prlimit64", args={0: 0})
        built.allow("seccomp", args={0: GET_NOTIF_SIZES})
        built.allow("ioctl", args={1: FIOCLEX})
        built.allow("prctl", args={0: PR_SET_PDEATHSIG, 1: signal.SIGKILL})
        built.notify("clone", args={0: COPY_FLAGS})
        # The C library then falls back to clone, whose arguments a filter can see.
        built.errno("clone3", errno.ENOSYS)
        return built

    def _build_ruleset(self) -> Any:
        landlock = importlib.import_module("landlockpy")
        if landlock.abi_version() < 1:
            raise WallUnavailable("Landlock is not available: it needs Linux 5.13 with it switched on")
        ruleset = landlock.Ruleset(
            scoped=landlock.Scope.SIGNAL | landlock.Scope.ABSTRACT_UNIX_SOCKET,
        )
        reading = landlock.AccessFS.READ_FILE | landlock.AccessFS.READ_DIR
        for path in sorted(_readable()):
            ruleset.allow_path(path, reading)
        return ruleset


def _exists(seccomp: Any, name: str) -> bool:
    try:
        seccomp.syscall_nr(name)
    except ValueError:  # this architecture does not have it
        return False
    return True


def _readable() -> set[str]:
    """Where the standard library, the allowed packages and the C libraries lie."""
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *LIBRARIES}
    for name in PACKAGES:
        package = sys.modules.get(name)
        for folder in getattr(package, "__path__", ()):
            paths |= {folder, str(Path(folder).with_suffix(".libs"))}
    return {path for path in paths if path and os.path.isdir(path)}
