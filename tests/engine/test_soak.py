"""Half an hour of everything at once: sequences come, fork, write, are read, cancelled, dropped and closed.

``GENPRM_SOAK_SECONDS`` makes it shorter or longer.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time

import pytest

from genprm_sdk.backends import Sampling
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.engine.engine import EngineSequence
from genprm_sdk.models import find_model
from genprm_sdk.prompt import content, control

from ..processes import resident_mb

SECONDS = float(os.environ.get("GENPRM_SOAK_SECONDS", "1800"))
pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(SECONDS * 2 + 120)]
MODEL = find_model("genprm-mini")[1]
PROMPTS = [f"Let's calculate {a} + {a} = {2 * a}. " * (1 + 3 * a) for a in range(1, 7)]


async def converse(backend: LlamaCppBackend, rng: random.Random) -> None:
    frame = backend.frame
    sequence = await backend.open([control(frame.opening), content(rng.choice(PROMPTS))])
    held: list[EngineSequence] = [sequence]
    try:
        for _ in range(rng.randint(1, 6)):
            act = rng.random()
            sequence = rng.choice(held)
            if act < 0.25 and len(held) < 6:
                held.append(await sequence.fork())
            elif act < 0.4:
                await sequence.append([content(rng.choice(PROMPTS)[:60])])
            elif act < 0.6:
                first, second = await sequence.probabilities(["{Yes}", "{No}"])
                assert 0 <= first <= 1
                assert 0 <= second <= 1
            else:
                sampling = Sampling(temperature=rng.choice([0, 1.0, 2.0]), seed=rng.randrange(1000))
                stops = rng.choice([[], [".", "\n"], ["the"]])
                got = await sequence.generate(stops, rng.randint(1, 60), sampling)
                assert got.finish in ("stop", "length", "end")
    finally:
        if rng.random() < 0.9:  # the others are left to the garbage collector
            for sequence in held:
                await sequence.close()


async def use(backend: LlamaCppBackend, seconds: float) -> tuple[int, int]:
    """Hold conversations for some time; returns how many there were, and how many were cancelled."""
    rng = random.Random(0)
    running: set[asyncio.Task[None]] = set()
    end = time.monotonic() + seconds
    conversations = cancelled = 0
    while time.monotonic() < end:
        while len(running) < 24:
            running.add(asyncio.create_task(converse(backend, random.Random(rng.random()))))
            conversations += 1
        if rng.random() < 0.3:
            cancelled += rng.choice(sorted(running, key=id)).cancel()
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    return conversations, cancelled


@pytest.mark.parametrize("exact", [False, True], ids=["shared", "exact"])
async def test_an_engine_that_is_used_for_long_is_as_good_as_new(exact: bool) -> None:
    room = {} if exact else {"cache_tokens": 2048}
    load = LlamaCppBackend.load(MODEL, context=1024, capacity=8, threads=1, exact=exact, **room)
    async with await load as backend:
        await use(backend, SECONDS / 4)
        memory = resident_mb(os.getpid())
        conversations, cancelled = await use(backend, SECONDS / 4)
        assert conversations > 50
        assert cancelled > 5
        gc.collect()
        await (await backend.open([content("By now the engine has let go of all that.")])).logits()
        now = backend.snapshot()
        assert (now.open, now.running, now.waiting) == (0, 0, 0)
        assert now.used_cells <= now.cells
        assert resident_mb(os.getpid()) < memory + 40
