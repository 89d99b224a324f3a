"""Code that tries to leave. That some of it fails by policy only is said in the package's docstring."""

from __future__ import annotations

import os

import pytest

from genprm_sdk.sandbox import Sandbox, Session

pytestmark = pytest.mark.anyio

REFUSED = """
import os
import sys
import subprocess
import socket
import ctypes
import multiprocessing
import importlib
import builtins
import io
from os import system
from sympy.external import gmpy
import numpy.ctypeslib
from numpy import load; load('/etc/passwd')
from numpy import f2py
from math import __loader__
from . import x
import numpy as np; np.load('/etc/passwd')
import numpy as np; np.loadtxt('/etc/passwd')
import numpy as np; np.ones(3).tofile('/tmp/x')
import numpy as np; np.matrixlib.defmatrix.sys
import fractions; fractions.sys
import statistics; statistics.sys.modules
import random; random._os.system('id')
import collections; collections._sys
import json; json.codecs
import sympy; sympy.external.gmpy.os
import typing; typing.sys
import typing; typing.get_type_hints(print)
import dataclasses; dataclasses.inspect
import dataclasses; dataclasses.make_dataclass('C', ['a'])
import string; string.Formatter()
from sympy import sympify; sympify("__import__('os').system('id')")
from sympy import sympify; sympify("().__class__.__bases__")
from sympy import S; S("open('/etc/passwd')")
from sympy import parse_expr; parse_expr("eval('1+1')")
import operator; operator.attrgetter('__class__.__subclasses__')(1)
import operator; operator.methodcaller('__subclasses__')(int)
import math; math.sqrt = print
import fractions; fractions.Fraction.__add__ = None
import numpy; del numpy.array
int.x = 1
().__class__.__bases__[0].__subclasses__()
print.__self__
(lambda: 0).__globals__
(lambda: 0).__code__
(lambda: 0).__builtins__
(i for i in ()).gi_frame
(i for i in ()).gi_code
object.__getattribute__(1, '__class__')
type.__subclasses__(int)
int.mro.__self__.__dict__
getattr(int, '__subclasses__')
getattr(int, '__sub' + 'classes__')
setattr(int, '__x__', 1)
'{0.__class__.__mro__}'.format(1)
'{0.__globals__}'.format(lambda: 0)
'{:{0.__dict__}}'.format(1)
str.format('{0.__dict__}', 1)
'{a.__dict__}'.format_map({'a': 1})
getattr('{0.__dict__}', 'format')(1)
f'{print.__self__}'
open('/etc/passwd').read()
exec('1')
eval('1')
compile('1', 'x', 'eval')
__import__('os')
__builtins__
__builtins__['open']
__loader__
globals()
locals()
vars()
breakpoint()
input()
_getattr_ = lambda o, n: 1
def _import_(*a): pass
def f(_write_): pass
import math as _getattr_
async def f(): pass
""".strip().splitlines()


@pytest.mark.parametrize("code", REFUSED)
async def test_refused(session: Session, code: str) -> None:
    run = await session.run(code.replace("; ", "\n"))
    assert run.status == "policy", run
    assert run.feedback.startswith("Code execute Error: PolicyError: ")
    assert run.state_kept


LONGER = {
    "smuggled by a class pattern": """
import fractions
try:
    match fractions:
        case object(sys=s):
            s.exit()
except BaseException:
    pass
print(s.modules)
""",
    "attributes named by __match_args__": """
class C:
    __match_args__ = ("__dict__",)
""",
    "private names in a class pattern": """
import random
match random:
    case object(_os=o):
        print(o)
""",
    "a field name that is source": """
from dataclasses import dataclass
dataclass(type("C", (), {"__annotations__": {"a=print(1)": int}}))
""",
    "os._exit": """
import random
class R(random.Random):
    def get(self):
        return random._os
R().get()._exit(0)
""",
    "a string that changes its mind": """
class S(str):
    def startswith(self, *a): return False
    def endswith(self, *a): return False
    def __str__(self): return "real"
getattr(int, S("__subclasses__"))
""",
    "caught and tried again": """
try:
    open('/etc/passwd')
except Exception:
    pass
import os
""",
}


@pytest.mark.parametrize("name", LONGER)
async def test_refused_at_length(session: Session, name: str) -> None:
    assert (await session.run(LONGER[name])).status == "policy"


async def test_a_missing_module_can_be_caught(session: Session) -> None:
    run = await session.run("try:\n    import gmpy2\nexcept ImportError:\n    print('without')")
    assert (run.status, run.feedback) == ("ok", "without")


async def test_update_wrapper_takes_no_wish_list(session: Session) -> None:
    run = await session.run(
        "import functools, random\nfunctools.update_wrapper(print, random.seed, assigned=('__globals__',))"
    )
    assert run.error_type == "TypeError"


# lambdify of a string hands a block the interpreter, as any hole in the policy would.
ESCAPE = "from sympy import lambdify\nescape = lambda text: lambdify([], text)()\n"


async def test_an_escaped_block_has_no_environment_and_no_descriptors(session: Session) -> None:
    run = await session.run(
        ESCAPE + "os = escape(\"__import__('os').environ.copy()\")\nprint(os)\n"
        "print(escape(\"[f for f in range(64) if __import__('os').path.exists(f'/proc/self/fd/{f}')]\"))"
    )
    assert run.feedback == "{}\n[0, 1, 2, 3, 4]"


@pytest.mark.parametrize(
    "call",
    [
        "open('/dev/shm/genprm-test', 'w')",
        "open('/etc/passwd')",
        "__import__('os').listdir('/')",
        "__import__('os').kill(__import__('os').getpid(), 9)",
        "__import__('os').kill(__import__('os').getppid(), 0)",
        "__import__('os').fork()",
        "__import__('os').execv('/bin/true', ['true'])",
        "__import__('socket').socket()",
        "__import__('socket').socketpair()",
        "__import__('os').setsid()",
    ],
)
async def test_an_escaped_block_meets_the_kernel_wall(session: Session, call: str) -> None:
    run = await session.run(ESCAPE + f"escape({call!r})")
    assert (run.status, run.error_type) == ("error", "PermissionError")
    assert not os.path.exists("/dev/shm/genprm-test")  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("__import__('os')._exit(0)", "exited with code 0"),
        ("__import__('os')._exit(7)", "exited with code 7"),
        ("__import__('os').abort()", "SIGABRT|SIGSEGV|SIGILL"),
        ("__import__('ctypes').string_at(0)", "SIGSEGV"),
        ("__import__('os').close(3)", "could not be read|exited|SIGKILL"),
        ("__import__('os').write(3, b'\\0\\0\\0\\2[]')", "could not be read"),
        ("__import__('os').write(3, b'\\xff\\xff\\xff\\xff')", "could not be read"),
        ("__import__('os').write(3, b'\\0\\0\\0\\2{}')", "could not be read"),
    ],
)
async def test_crashes_and_forged_answers(sandbox: Sandbox, call: str, message: str) -> None:
    async with sandbox.session() as session:
        run = await session.run(ESCAPE + f"print('start')\nescape({call!r})")
        assert (run.status, run.state_kept) == ("crashed", False)
        assert any(part in (run.message or "") for part in message.split("|")), run
        assert run.feedback == f"Code execute Error: SandboxCrash: {run.message}"
        assert (await session.run("print(1)")).feedback == "1"
