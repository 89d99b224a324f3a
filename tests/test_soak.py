"""Hours of use in minutes: checks that finish, fail and are cancelled leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from genprm_sdk import ContextLengthError, Verifier
from genprm_sdk.backends.llama_cpp import LlamaCppBackend

from .processes import resident_mb

pytestmark = [pytest.mark.anyio, pytest.mark.soak]
PROBLEM = "((3 + 4 * 2) - (5 - -6)) ="
STEPS = [
    'This equation can be written as "(A - B)", where A = (3 + 4 * 2) and B = (5 - -6).',
    "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11.",
    "Let's calculate B = (5 - -6) = (5 + 6) = 11.",
]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_thousand_checks_leave_nothing_behind() -> None:
    rng = random.Random(0)
    async with Verifier("genprm-mini") as verifier:

        async def one(number: int) -> None:
            kind = rng.random()
            steps = [*STEPS, "9 + " * 9000] if kind < 0.1 else STEPS
            task = asyncio.create_task(verifier.check(steps, problem=PROBLEM, samples=2, seed=number))
            if kind > 0.7:
                await asyncio.sleep(rng.random() * 0.3)
                task.cancel()
            try:
                await task
            except ContextLengthError:
                assert kind < 0.1
            except asyncio.CancelledError:
                assert kind > 0.7

        for number in range(50):
            await one(number)
        files, memory = open_files(), resident_mb(os.getpid())
        for start in range(50, 1000, 5):
            await asyncio.gather(*(one(number) for number in range(start, start + 5)))
        backend = verifier._opened
        assert isinstance(backend, LlamaCppBackend)
        now = backend.snapshot()
        assert (now.open, now.running, now.waiting) == (0, 0, 0)
        assert open_files() <= files + 4
        assert resident_mb(os.getpid()) < memory + 60
