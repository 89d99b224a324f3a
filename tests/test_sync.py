"""The blocking verifier, also inside a running event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from genprm_sdk import ClosedError, Finished, GenPRMError, InputError, UnknownModelError
from genprm_sdk.blocking import LOOP
from genprm_sdk.sync import Verifier
from genprm_sdk.verifier import Verifier as AsyncVerifier

STEPS = ["Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11."]


def test_a_check_without_async() -> None:
    with Verifier("genprm-mini", threads=1) as verifier:
        report = verifier.check(STEPS, samples=2, seed=3)
        assert verifier.check(STEPS, samples=2, seed=3).steps[0].score == report.steps[0].score
    assert len(report.steps[0].paths) == 2
    with pytest.raises(ClosedError, match="with Verifier"):
        verifier.check(STEPS)


def test_a_check_inside_a_running_loop() -> None:
    async def notebook_cell() -> int:
        with Verifier("genprm-mini", threads=1) as verifier:
            return len(verifier.check(STEPS).steps)

    assert anyio.run(notebook_cell) == 1


def test_errors_come_through() -> None:
    with pytest.raises(UnknownModelError):
        Verifier("nope").__enter__()
    with Verifier("genprm-mini", threads=1) as verifier, pytest.raises(InputError, match="no steps"):
        verifier.check([])


def test_the_other_calls_without_async() -> None:
    with Verifier("genprm-mini", threads=1) as verifier:
        scores = verifier.score(STEPS)
        assert scores.steps == (verifier.check(STEPS).steps[0].score,)
        assert [each.index for each in verifier.rank([STEPS, STEPS])] == [0, 1]
        many = list(verifier.check_many([STEPS, [" "], STEPS], ordered=True))
        assert [each.error is None for each in many] == [True, False, True]
        events = list(verifier.stream(STEPS))
        assert isinstance(events[-1], Finished)
        early = verifier.stream(STEPS * 20)
        next(early)
        early.close()  # type: ignore[attr-defined]
        assert verifier.history == "steps"
        assert verifier.settings.domains


def test_several_threads_may_share_one() -> None:
    with Verifier("genprm-mini", threads=1) as verifier, ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda seed: verifier.check(STEPS, seed=seed), range(8)))
    assert [report.seed for report in reports] == list(range(8))


@pytest.mark.parametrize("name", ["check", "check_many", "stream", "rank"])
def test_ctrl_c_ends_what_was_begun(name: str) -> None:
    """And comes through as what it is."""
    with Verifier("genprm-mini", threads=1) as verifier, LOOP.held() as portal:
        before = portal.call(asyncio.all_tasks)
        call = getattr(verifier, name)
        given = STEPS * 40 if name in ("check", "stream") else [STEPS * 40] * 20
        pressed = threading.Timer(0.5, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        pressed.start()
        with pytest.raises(KeyboardInterrupt):
            list(call(given, samples=4))
        assert len(portal.call(asyncio.all_tasks)) <= len(before)
        assert verifier.check(STEPS).steps


def test_it_is_entered_once() -> None:
    with Verifier("genprm-mini", threads=1) as verifier:
        with pytest.raises(GenPRMError, match="is open already"):
            verifier.__enter__()
        assert verifier.check(STEPS).steps
    with verifier:
        assert verifier.check(STEPS).steps


def test_it_takes_what_the_asynchronous_one_takes() -> None:
    ours, theirs = (inspect.signature(kind.__init__).parameters for kind in (Verifier, AsyncVerifier))
    assert ours == theirs


def test_a_call_from_inside_its_own_loop_says_so() -> None:
    with Verifier("genprm-mini", threads=1) as verifier:
        with LOOP.held() as portal, pytest.raises(GenPRMError, match="its own event loop"):
            portal.call(verifier.check, STEPS)


def test_all_share_one_loop_which_ends_with_the_last() -> None:
    with Verifier("genprm-mini", threads=1) as one, Verifier("genprm-mini", threads=1) as other:
        assert one.asynchronous._opened is other.asynchronous._opened, "loaded once"
        assert len([thread for thread in threading.enumerate() if thread.name == "genprm-loop"]) == 1
        with LOOP.held() as portal:
            pass
    with LOOP.held() as another:
        assert another is not portal
    events = Verifier("genprm-mini")
    with pytest.raises(ClosedError):
        events.stream(STEPS)


STARTED = """
from genprm_sdk.sync import Verifier
verifier = Verifier("genprm-mini", threads=1)
"""
LEFT_OPEN = {
    "a verifier": "verifier.__enter__().check(['1 + 1 = 2'])",
    "a stream": """
with verifier:
    events = verifier.stream(['1 + 1 = 2'])
    next(events)
""",
    "a stream, its verifier and another": """
events = verifier.__enter__().check_many([['1 + 1 = 2']] * 9)
next(events)
other = Verifier("genprm-mini").__enter__()
""",
}


@pytest.mark.parametrize("left", LEFT_OPEN)
def test_a_program_ends_though_something_is_left_open(left: str) -> None:
    program = [sys.executable, "-c", f"{STARTED}{LEFT_OPEN[left]}\nprint('through')"]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "through\n", "")


FORKED = f"""{STARTED}
import multiprocessing

def own(steps):
    with Verifier("genprm-mini", threads=1) as mine:
        return mine.check(steps).verdict

def inherited(steps):
    try:
        verifier.check(steps)
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"

with verifier, multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply(own, [["1 + 1 = 2"]]))
    print(pool.apply(inherited, [["1 + 1 = 2"]]))
    print(verifier.check(["1 + 1 = 2"]).verdict)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_opens_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    own, inherited, after = ended.stdout.splitlines()
    assert (ended.returncode, own, ended.stderr) == (0, after, "")
    assert inherited.startswith("ClosedError: the verifier was opened before this process was forked")
