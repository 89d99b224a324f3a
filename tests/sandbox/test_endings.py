"""Every way a block can end, and the exact text that goes back to the model."""

from __future__ import annotations

import pytest

from genprm_sdk.sandbox import Limits, Sandbox, Session
from genprm_sdk.types import CodeRun

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("code", "feedback"),
    [
        ("print(12 * 7)", "84"),
        ("print(1)\nprint()\nprint()", "1"),
        ("print('  a ')", "  a "),
        ("1 + 1", ""),
        ("x = 3", ""),
        ("# nothing", ""),
        ("print('a', 'b', sep='-', end='!')", "a-b!"),
        ("exit()", ""),
        ("print('é √ \\ud800')", "é √ \\ud800"),
    ],
)
async def test_ok(session: Session, code: str, feedback: str) -> None:
    run = await session.run(code)
    assert (run.status, run.feedback, run.error_type, run.message) == ("ok", feedback, None, None)
    assert run.state_kept
    assert run.isolation
    assert run.duration > 0


@pytest.mark.parametrize(
    ("code", "status", "feedback"),
    [
        ("print(totl)", "error", "NameError: name 'totl' is not defined"),
        ("print(2/0)", "error", "ZeroDivisionError: division by zero"),
        ("print((", "syntax_error", "SyntaxError: '(' was never closed (<string>, line 1)"),
        ("x = 1\n  y = 2", "syntax_error", "IndentationError: unexpected indent (<string>, line 2)"),
        ("return 3", "syntax_error", "SyntaxError: 'return' outside function (<string>, line 1)"),
        ("{}['a']", "error", "KeyError: 'a'"),
        ("[].foo", "error", "AttributeError: 'list' object has no attribute 'foo'"),
        ("assert 1 == 2", "error", "AssertionError: "),
        ("assert 1 == 2, 'no'", "error", "AssertionError: no"),
        ("raise ValueError('two\\nlines')", "error", "ValueError: two lines"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt: "),
        ("exit('bad')", "error", "SystemExit: bad"),
        ("None()", "error", "TypeError: 'NoneType' object is not callable"),
        ("def f():\n    print(x)\n    x = 1\nf()", "error", "cannot access local variable 'x'"),
        (
            "from math import nothing",
            "error",
            "ImportError: cannot import name 'nothing' from 'math'",
        ),
        ("import sympy.nothing", "error", "ModuleNotFoundError: No module named 'sympy.nothing'"),
        ("open('x')", "policy", "PolicyError: open() is not available here"),
        ("().__class__.__bases__", "policy", "PolicyError: the attribute '__bases__' is not available here"),
        ("import os", "policy", "PolicyError: the module 'os' is not available here; available are "),
    ],
)
async def test_errors_are_one_line(session: Session, code: str, status: str, feedback: str) -> None:
    run = await session.run("print('before')\n" + code if status != "syntax_error" else code)
    assert run.status == status
    assert run.feedback.startswith("Code execute Error: ")
    assert feedback in run.feedback
    assert run.feedback == f"Code execute Error: {run.error_type}: {run.message}"
    assert "\n" not in run.feedback
    assert run.state_kept
    assert CodeRun.model_validate_json(run.model_dump_json()) == run


async def test_exact_feedback(session: Session) -> None:
    runs = [await session.run(code) for code in ("print(totl)", "print(2/0)", "print((")]
    assert [run.feedback for run in runs] == [
        "Code execute Error: NameError: name 'totl' is not defined",
        "Code execute Error: ZeroDivisionError: division by zero",
        "Code execute Error: SyntaxError: '(' was never closed (<string>, line 1)",
    ]


async def test_output_before_an_error_is_kept_but_not_fed_back(session: Session) -> None:
    run = await session.run("print('seen')\n1/0")
    assert run.stdout == "seen\n"
    assert run.feedback == "Code execute Error: ZeroDivisionError: division by zero"


@pytest.mark.parametrize("code", ["", "  \n\t\n"])
async def test_blank_code(session: Session, code: str) -> None:
    run = await session.run(code)
    assert (run.status, run.feedback) == ("error", "Code format error: No code found.")


async def test_state_is_kept_also_after_an_error(session: Session) -> None:
    await session.run("x = 2\ndef double(n):\n    return 2 * n\nimport math")
    assert (await session.run("y = 5\n1/0")).state_kept
    assert (await session.run("print(double(x) + y + math.floor(0.5))")).feedback == "9"


async def test_sessions_share_nothing(sandbox: Sandbox) -> None:
    async with sandbox.session() as one, sandbox.session() as other:
        await one.run("import math\nx = 1")
        assert (await other.run("print(x)")).error_type == "NameError"


async def test_draws_repeat_from_session_to_session(sandbox: Sandbox) -> None:
    code = "import random, numpy as np\nprint(random.random(), np.random.rand(), {'a', 'b', 'c', 'd'})"
    seen = set()
    for _ in range(2):
        async with sandbox.session() as session:
            seen.add((await session.run(code)).feedback)
    assert len(seen) == 1


async def test_timeout(hasty: Sandbox) -> None:
    async with hasty.session() as session:
        await session.run("x = 1")
        run = await session.run("print('start')\nwhile True: pass")
        assert (run.status, run.stdout, run.state_kept) == ("timeout", "start\n", False)
        assert run.feedback == "Code execute time out: no result within 0.5 seconds"
        assert 0.5 <= run.duration < 2
        again = await session.run("print(x)")
        assert (again.error_type, again.state_kept) == ("NameError", True)


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "10 ** 10 ** 9",
        "import itertools\nsum(itertools.repeat(1))",
        "import time\ntime.sleep(100)",
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    ],
)
async def test_nothing_outlasts_the_clock(hasty: Sandbox, code: str) -> None:
    async with hasty.session() as session:
        assert (await session.run(code)).status == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "x = [0] * 10**9",
        "x = []\nwhile True:\n    x.append([0] * 10_000)",
        "import numpy as np\nnp.ones((30000, 30000))",
        "x = 'a'\nwhile True:\n    x += x",
    ],
)
async def test_memory(session: Session, code: str) -> None:
    run = await session.run("print('start')\n" + code)
    assert (run.status, run.stdout, run.state_kept) == ("memory", "start\n", False)
    assert run.feedback == "Code execute Error: MemoryError: the code needs more than 256 MB of memory"
    assert (await session.run("print(1)")).feedback == "1"


async def test_long_output_is_cut(session: Session) -> None:
    run = await session.run("for i in range(5000):\n    print('abcdefghi')\nprint('end')")
    assert (run.status, run.truncated) == ("ok", True)
    assert run.stdout == "abcdefghi\n" * 1000
    assert (await session.run("print('x' * 10_000, end='')")).truncated is False


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    print('x' * 100)",
        "while True:\n    try:\n        print('x' * 100)\n    except BaseException:\n        pass",
        "print('x' * 3_000_000)",
    ],
)
async def test_runaway_output(session: Session, code: str) -> None:
    run = await session.run(code)
    assert (run.status, run.truncated, run.state_kept) == ("output_limit", True, False)
    assert len(run.stdout) == 10_000
    assert run.feedback == "Code execute Error: OutputLimitError: more than 1000000 characters were printed"


async def test_printing_slowly_for_ever_is_a_timeout(hasty: Sandbox) -> None:
    async with hasty.session() as session:
        run = await session.run("import time\nwhile True:\n    print('tick')\n    time.sleep(0.05)")
    assert run.status == "timeout"
    assert run.stdout.startswith("tick\ntick\n")


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("x = []\nfor i in range(10**6):\n    x = [x]\nprint(x)", "RecursionError"),
        ("class A:\n    def __repr__(self):\n        return repr(self)\nprint(A())", "RecursionError"),
    ],
)
async def test_deep_recursion(session: Session, code: str, error_type: str) -> None:
    run = await session.run(code)
    assert (run.status, run.error_type) in {("error", error_type), ("crashed", "SandboxCrash")}
    assert (await session.run("print(1)")).feedback == "1"


@pytest.mark.parametrize("code", ["(" * 5000 + ")" * 5000, "x = " + "-" * 50_000 + "1", "a\0b"])
async def test_source_that_upsets_the_compiler(session: Session, code: str) -> None:
    assert (await session.run(code)).status in {"syntax_error", "error", "memory", "crashed"}
    assert (await session.run("print(1)")).feedback == "1"


async def test_overlong_source_is_not_run(session: Session) -> None:
    run = await session.run("#" * 100_001)
    assert (run.status, run.state_kept) == ("policy", True)


async def test_long_messages_are_capped(session: Session) -> None:
    run = await session.run("raise ValueError('x' * 10**6)")
    assert run.message is not None
    assert len(run.message) == 500


@pytest.mark.parametrize("code", ["class E(Exception):\n    def __str__(self):\n        1/0\nraise E"])
async def test_unprintable_exceptions(session: Session, code: str) -> None:
    assert (await session.run(code)).feedback == "Code execute Error: E: <exception str() failed>"


async def test_limits_are_checked() -> None:
    from genprm_sdk.errors import InputError

    for bad in ({"wall_seconds": 0}, {"memory_mb": 1.5}, {"output_chars": -1}, {"output_stop": 5}):
        with pytest.raises(InputError):
            Limits(**bad)  # type: ignore[arg-type]
